"""What `make test` leaves out on one database runs on the other."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.__main__ import FAST, NOT_FAST, ONCE
from tests.support.environment import ROOT, clean_environment
from tests.support.processes import Running
from tests.support.waiting import wait_until


@pytest.mark.parametrize("path", ONCE)
def test_what_is_left_out_on_postgresql_does_not_need_it(path: str) -> None:
    place = ROOT / "tests" / path
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    assert files, f"{path} is not there any more"
    assert [file for file in files if needs_postgres(file)] == []


def needs_postgres(file: Path) -> bool:
    return "mark.postgres" in file.read_text() and file != Path(__file__)


def test_what_is_quick_exists() -> None:
    assert [place for place in FAST + NOT_FAST if not (ROOT / place).exists()] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_when_it_is_killed_nothing_that_it_began_lives_on(number: signal.Signals, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    # A part whose child starts another one, and takes no heed of the first signal.
    begin = f"trap '' INT; sleep 1000 & echo $! $$ > {pids}.new; mv {pids}.new {pids}; wait"
    code = (
        "import signal, tests.__main__ as suite\n"
        "suite.GRACE = 0.2\n"
        "for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(number, suite.end_all)\n"
        f"suite.Part('part', ['bash', '-c', {begin!r}]).run()\n"
    )
    suite = Running([sys.executable, "-c", code], environment=clean_environment(), log=tmp_path / "log")
    wait_until(pids.exists, what="the part to begin")
    assert suite.stop(number) == 128 + number
    for pid in pids.read_text().split():
        wait_until(lambda pid=pid: not lives(int(pid)), what=f"the end of {pid}")  # type: ignore[misc]


def lives(pid: int) -> bool:
    """A zombie has ended."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
