from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.matrix import HERE, PART, interpreter, pairs
from tests.support.environment import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], []),
        (["3.11"], []),
        (["3.11", "3.12"], [("3.12", "next")]),
        (["3.11", "3.12", "3.14"], [("3.12", "pinned"), ("3.14", "next")]),
    ],
)
def test_each_python_is_tried_once_and_the_newest_with_the_next_django(
    found: list[str], expected: list[tuple[str, str]]
) -> None:
    assert pairs(found, here="3.11") == expected


def test_the_next_django_is_tried_with_the_python_of_the_suite_too() -> None:
    assert pairs(["3.13"], here="3.13") == [("3.13", "next")]


def test_a_python_that_does_not_run_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    (tmp_path / f"python{HERE}").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert interpreter(HERE) == str(tmp_path / f"python{HERE}")
    (tmp_path / f"python{HERE}").unlink()
    (tmp_path / f"python{HERE}").write_text("#!/bin/sh\nexit 127\n")
    (tmp_path / f"python{HERE}").chmod(0o755)
    assert interpreter(HERE) is None


def test_its_part_of_the_suite_exists() -> None:
    assert [path for path in PART if not (ROOT / path).is_file()] == []
