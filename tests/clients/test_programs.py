"""The programs of clients/examples, as strangers run them: against a server, a worker and the emulator."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sandkeeper_client import Sandkeeper, SandkeeperError

from sandboxes import clock
from sandboxes.models import Sandbox
from tests.support.environment import ROOT
from tests.support.processes import Running
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Installation

EXAMPLES = ROOT / "clients" / "examples"
# What the feed does not tell of: it follows from the rest, or mere use and our fetches move it.
NOT_TOLD = {
    "allowed_actions", "operation", "etag", "last_accessed_at", "last_activity_at", "observed_at", "updated_at",
    "stops_at", "stops_by", "archives_at", "archives_by", "deletes_at", "deletes_by",
}  # fmt: skip


def environment(installation: Installation, **values: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "clients" / "python" / "src"),
        "SANDKEEPER_URL": str(installation.http.base_url),
        "SANDKEEPER_KEY": installation.key,
        **values,
    }


def run(installation: Installation, name: str, *arguments: str, sent: str = "", **values: str) -> list[str]:
    """The lines that a program prints until it ends."""
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    known = environment(installation, **values)
    done = subprocess.run(command, env=known, input=sent, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def client(installation: Installation) -> Sandkeeper:
    return Sandkeeper(str(installation.http.base_url), installation.key, owner=installation.owner)


def test_an_agent_and_a_nightly_cleanup(installation: Installation) -> None:
    owner = installation.owner
    with client(installation) as one:
        used, idle, kept = (one.wait(one.create_sandbox(name=name))["sandbox"] for name in ("used", "idle", "kept"))
        # The agent: its sandbox is idle and starts; a person stops it, and the agent does not.
        one.wait(one.stop_sandbox(used))
        Sandbox.objects.filter(pk=used).update(intent="running")  # as after Daytona's own stop
        (said,) = run(installation, "agent_loop.py", owner, used, sent="ls\n")
        assert said == f"done: ls in {one.get_sandbox(used)['daytona_id']}"
        one.wait(one.stop_sandbox(used, reason="lunch"))
        (said,) = run(installation, "agent_loop.py", owner, used, sent="ls\n")
        assert said.startswith("ask your user to start it: ")
        assert "lunch" in said
        assert one.get_sandbox(used)["status"] == "stopped"
        (said,) = run(installation, "agent_loop.py", owner, "no-such-one", sent="ls\n")
        assert said.startswith("it cannot be used any more")

        # The clean-up: what was long unused is archived, then deleted; what a person protects stays.
        for sandbox in (idle, kept):
            one.wait(one.stop_sandbox(sandbox))
        until = (clock.now() + timedelta(days=2)).isoformat()
        one.change_sandbox(kept, protected_until=until)
        long_ago = clock.now() - timedelta(days=40)
        aged = {"last_accessed_at": long_ago, "last_activity_at": long_ago, "status_changed_at": long_ago}
        Sandbox.objects.filter(pk__in=(idle, kept)).update(**aged)
        assert run(installation, "nightly_cleanup.py", owner, "--dry-run") == ["would archive: idle"]
        assert run(installation, "nightly_cleanup.py", owner) == ["archive idle: accepted"]
        wait_until(lambda: one.get_sandbox(idle)["status"] == "archived", what="the archive")
        wait_until(lambda: one.get_sandbox(idle)["operation"] is None, what="its end")
        assert run(installation, "nightly_cleanup.py", owner) == [], "it was archived just now"
        Sandbox.objects.filter(pk=idle).update(**aged)
        assert run(installation, "nightly_cleanup.py", owner) == ["delete idle: accepted"]
        wait_until(lambda: one.get_sandbox(idle)["status"] == "gone", what="the delete")
        assert {one.get_sandbox(box)["status"] for box in (used, kept)} == {"stopped"}


class Mirror:
    """The program, its copy, and a hand that kills it."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.file = folder / "copy.sqlite3"
        self._installation = installation
        self._folder = folder
        self._runs = 0
        self.start()

    def start(self) -> None:
        self._runs += 1
        command = [sys.executable, str(EXAMPLES / "mirror.py"), str(self.file), self._installation.owner]
        log = self._folder / f"mirror-{self._runs}.log"
        self.program = Running(command, environment=environment(self._installation), log=log)

    def kill_and_start(self, *, after_pages: int) -> None:
        """Kill it once it has taken so many pages; it may be in the middle of the next one."""
        wait_until(lambda: self.program.output.count("at ") >= after_pages or self.program.ended(), what="pages")
        assert not self.program.ended(), self.program.output
        self.program.kill()
        self.start()

    def copy(self) -> dict[str, dict[str, Any]]:
        """What it has, by id, less what the feed does not tell of."""
        with sqlite3.connect(self.file) as database:
            rows = database.execute("SELECT shown FROM sandbox").fetchall()
        return {row["id"]: told(row) for row in (json.loads(shown) for (shown,) in rows)}


def told(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in NOT_TOLD}


def unlike(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    """The names under which they have different values."""
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def change_something(one: Sandkeeper, luck: random.Random, boxes: list[str], number: int) -> None:
    """One thing that an owner does."""
    kind = luck.choice(("rename", "rename", "stop", "start", "create", "delete"))
    if kind == "create" or len(boxes) < 2:
        boxes.append(one.create_sandbox(name=f"box {number}")["sandbox"])
        return
    box = luck.choice(boxes)
    if kind == "rename":
        one.change_sandbox(box, name=f"name {number}")
    elif kind == "delete":
        boxes.remove(box)
        one.delete_sandbox(box)
    else:
        one.bulk_sandboxes(action=kind, ids=[box])


def mirrored(installation: Installation, folder: Path, *, seed: int, rounds: int, seconds: float = 0) -> int:
    """Change, kill, change …, and compare at the end; returns how often it was killed."""
    luck = random.Random(seed)
    boxes: list[str] = []
    begun, kills = time.monotonic(), 0
    mirror = Mirror(installation, folder)
    with client(installation) as one:
        while kills < rounds or time.monotonic() - begun < seconds:
            for number in range(luck.randint(2, 5)):
                with suppress(SandkeeperError):  # at the limit, or just being deleted
                    change_something(one, luck, boxes, number + 10 * kills)
            mirror.kill_and_start(after_pages=luck.randint(0, 2))
            kills += 1
        wait_until(lambda: not one.list_operations(status=["queued", "in_progress"])["results"], what="rest")

        def differences() -> dict[str, Any]:
            """Of each sandbox that there is, what the copy has otherwise; what is gone, a list leaves out."""
            there = {row["id"]: told(dict(row)) for row in one.every(one.list_sandboxes())}
            copied = {key: row for key, row in mirror.copy().items() if row.get("status") != "gone"}
            return {
                key: {name: (there.get(key, {}).get(name), copied.get(key, {}).get(name)) for name in names}
                for key in there.keys() | copied.keys()
                if (names := unlike(there.get(key, {}), copied.get(key, {})))
            }

        wait_until(mirror.file.exists, what="the copy")
        with suppress(AssertionError):
            wait_until(lambda: not differences(), timeout=30)
        assert differences() == {}, f"seed {seed}"
    mirror.program.stop(signal.SIGKILL)
    return kills


@pytest.mark.parametrize("seed", [7])
def test_a_mirror_that_is_killed_again_and_again_misses_nothing(
    installation: Installation, tmp_path: Path, seed: int
) -> None:
    assert mirrored(installation, tmp_path, seed=seed, rounds=3) == 3


@pytest.mark.soak
def test_a_mirror_that_is_killed_for_five_minutes_misses_nothing(
    installation: Installation, tmp_path: Path
) -> None:
    print(mirrored(installation, tmp_path, seed=11, rounds=1, seconds=300), "kills")
