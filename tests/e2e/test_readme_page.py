"""README.md: what it tells a newcomer to type works."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.environment import ROOT, clean_environment, variables
from tests.support.processes import manage

if TYPE_CHECKING:
    from tests.e2e.conftest import Installation

PAGE = (ROOT / "README.md").read_text()
MAKE, COMMANDS, CURL, SETTINGS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def shell(script: str, environment: dict[str, str]) -> str:
    here = f"set -euo pipefail\n{script}".replace(".venv/bin/python", sys.executable)
    done = subprocess.run(
        ["bash", "-c", here], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_begins_with_two_targets_of_make() -> None:
    """tests/installing runs the first on a fresh checkout; the second is what runs this."""
    told = re.findall(r"^make (\w+)", MAKE, re.MULTILINE)
    assert told == ["run", "test"]
    assert all(f"\n{target}:" in (ROOT / "Makefile").read_text() for target in told)


@pytest.mark.curl
@pytest.mark.django_db(transaction=True)
def test_the_commands_and_the_call_work(installation: Installation) -> None:
    (installation.owner,) = set(re.findall(r"X-On-Behalf-Of: (\w+)", CURL))
    installation.start_web()
    installation.start_worker()
    sandbox = installation.created()
    assert "sandkeeper_" in shell(COMMANDS, installation.environment)
    known = {"PATH": os.environ["PATH"], "ID": sandbox["id"], "KEY": installation.key}
    address = str(installation.http.base_url).rstrip("/")
    answer = json.loads(shell(CURL.replace("http://127.0.0.1:8000", address), known))
    assert answer["status"] == "running"


def test_the_settings_are_settings_and_fit_together() -> None:
    lines = [line.partition("#")[0].strip() for line in SETTINGS.splitlines()]
    given = dict(line.split("=", 1) for line in lines)
    assert set(given) <= variables()
    command = manage("check")
    environment = clean_environment(**given)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
