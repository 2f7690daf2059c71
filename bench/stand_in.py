"""The fast stand-in for Daytona as a process of its own, and its control with types."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

import httpx

from tests.support.environment import ROOT, ending_with_us

if TYPE_CHECKING:
    from collections.abc import Iterable

SEEDED_AT_ONCE = 5000
# What its bodies say of every sandbox, by the names of our fields: rows with these learn nothing from a look.
OBSERVED: dict[str, Any] = {
    "target": "us", "snapshot": "ubuntu:22.04", "sandbox_class": "container", "cpu": 1, "memory_gb": 1,
    "disk_gb": 3, "organization_id": "11111111-1111-4111-8111-111111111111", "observed_auto_stop": 15,
    "observed_auto_archive": 10080, "observed_auto_delete": -1,
}  # fmt: skip


class FastDaytona:
    """A context manager: the process ends with it. See bench/fast_daytona.py."""

    daytona_key = "dtn_bench_key"

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            ending_with_us([sys.executable, "-m", "bench.fast_daytona"]),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
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
    def convex_url(self) -> str:
        return self._url

    @property
    def daytona_url(self) -> str:
        return f"{self._url}/api"

    def settings(self, **seconds: float) -> None:
        """Change `latency`, `start`, `stop` or `hold`, in seconds."""
        self._control.post("/settings", json=seconds).raise_for_status()

    def seed(self, ids: Iterable[str], *, state: str) -> None:
        """Sandboxes in this state, each named as its id."""
        self.seed_rows([{"id": key, "name": key, "state": state} for key in ids])

    def seed_rows(self, rows: list[dict[str, Any]]) -> None:
        """Sandboxes with labels, or with what Convex shows of them; those that are there are replaced."""
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
