"""The fast stand-in for Daytona as a process of its own, and its control with types."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

import httpx

from tests.support.environment import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable

SEEDED_AT_ONCE = 5000


class FastDaytona:
    """A context manager: the process ends with it. See bench/fast_daytona.py."""

    daytona_key = "dtn_bench_key"

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.fast_daytona"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("listening on "), f"the stand-in for Daytona did not start; it said {line!r}"
        self._url = line.split()[-1]
        self._control = httpx.Client(base_url=f"{self._url}/control", timeout=60)
        return self

    def __exit__(self, *ended: object) -> None:
        self._control.close()
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def daytona_url(self) -> str:
        return f"{self._url}/api"

    def settings(self, **seconds: float) -> None:
        """Change `latency`, `start`, `stop` or `hold`, in seconds."""
        self._control.post("/settings", json=seconds).raise_for_status()

    def seed(self, ids: Iterable[str], *, state: str) -> None:
        """Sandboxes in this state, each named as its id."""
        rows = [{"id": key, "name": key, "state": state} for key in ids]
        self.seed_rows(rows)

    def seed_rows(self, rows: list[dict[str, Any]]) -> None:
        for start in range(0, len(rows), SEEDED_AT_ONCE):
            self._control.post("/seed", json=rows[start : start + SEEDED_AT_ONCE]).raise_for_status()

    def counts(self) -> dict[str, int]:
        """Calls since the start or the last reset, by name: get, list, create, start, stop …"""
        return dict(self._control.get("/counts").json())

    def started(self) -> dict[str, float]:
        """When each sandbox that was started was running, in seconds since 1970."""
        return dict(self._control.get("/started").json())

    def reset(self) -> None:
        """No sandboxes and no counts."""
        self._control.post("/reset").raise_for_status()
