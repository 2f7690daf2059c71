"""`make image`: only from a base named by digest. A stand-in for docker shows what it would be told."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from project.version import VERSION
from tests.support.environment import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = f"python:3.11-slim@sha256:{'0123456789abcdef' * 4}"


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that gets docker's arguments."""
    (tmp_path / "docker").write_text(f'#!/bin/sh\necho "$@" > {tmp_path / "told"}\n')
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "told"


def make_image(base: str) -> int:
    return subprocess.run(["make", "image", f"BASE_IMAGE={base}"], cwd=ROOT, capture_output=True).returncode


@pytest.mark.parametrize("base", ["", "python:3.11-slim", DIGEST[:-1], f"{DIGEST}0", DIGEST.replace("@", " ")])
def test_a_base_without_its_digest_is_refused(told: Path, base: str) -> None:
    assert make_image(base) != 0
    assert not told.exists()


def test_a_base_with_its_digest_is_built_upon(told: Path) -> None:
    assert make_image(DIGEST) == 0
    assert f"BASE_IMAGE={DIGEST}" in told.read_text()
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM")]
    stages = {line.split()[3] for line in lines if line.startswith("FROM")}
    assert set(bases) - stages == {"${BASE_IMAGE}"}
    assert lines[-1] == "FROM run AS sandkeeper", "what `docker build` makes without a target"
    assert f"VERSION={VERSION} -t sandkeeper" in told.read_text()
