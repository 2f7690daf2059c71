from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.services import keys
from tests.support import convex, processes
from tests.support.processes import environment_for
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from tests.support.emulator import Emulator

ENDED = ("succeeded", "failed", "cancelled")
QUICK = {
    "RETRY_BASE_SECONDS": "0.2",
    "RETRY_MAX_SECONDS": "1",
    "READ_CACHE_SECONDS": "0.5",
    "DAYTONA_UNAUTHORIZED_PAUSE": "1",
    "HEARTBEAT_SECONDS": "0.5",
}


class Installation:
    """Web, worker and emulator as processes, and a program's key for one owner."""

    owner = "user_e2e"

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator = emulator
        self.folder = folder
        self.stack = ExitStack()
        self.environment = environment_for(emulator, **QUICK)
        # The web process is given neither address nor key of Daytona and Convex: it needs none.
        self.web_environment = environment_for(None, LOG_LEVEL="INFO")

    def start_web(self) -> None:
        scopes = ["sandboxes:read", "sandboxes:write", "sandboxes:use"]
        _, self.key = keys.create_key("e2e", scopes=scopes)
        self.http = self.stack.enter_context(processes.web(self.web_environment, log=self.folder / "web.log"))
        self.http.headers.update({"Authorization": f"Bearer {self.key}", "X-On-Behalf-Of": self.owner})

    def start_worker(self, **values: str) -> processes.Running:
        log = self.folder / "worker.log"
        return self.stack.enter_context(processes.worker(self.environment | values, log=log))

    # asking

    def post(self, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        return self.http.post(f"/api/v1{path}", json=body or {})

    def get(self, path: str) -> dict[str, Any]:
        answer = self.http.get(f"/api/v1{path}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def accepted(self, answer: httpx.Response) -> dict[str, Any]:
        """The operation of a 202, as its Location shows it."""
        assert answer.status_code == 202, answer.text
        return dict(self.http.get(answer.headers["Location"]).raise_for_status().json())

    def ended(self, operation: dict[str, Any], *, timeout: float = PATIENCE) -> dict[str, Any]:
        """Wait for the end of an operation."""
        path = f"/operations/{operation['id']}"
        return wait_until(
            lambda: now if (now := self.get(path))["status"] in ENDED else None,
            timeout=timeout,
            pause=0.05,
            what=f"end of {operation['action']}",
        )

    def do(self, answer: httpx.Response) -> dict[str, Any]:
        operation = self.ended(self.accepted(answer))
        assert operation["status"] == "succeeded", operation
        return operation

    def created(self, **new: Any) -> dict[str, Any]:
        operation = self.do(self.post("/sandboxes", {"name": "e2e", **new}))
        return self.get(f"/sandboxes/{operation['sandbox']}")

    # comparing

    def agrees(self, sandbox_id: str, *, status: str, state: str) -> None:
        """REST says `status`, Daytona has `state`, and Convex's one row says what REST says."""
        shown = self.get(f"/sandboxes/{sandbox_id}")
        assert shown["status"] == status, shown
        remote = self.emulator.sandbox(shown["daytona_id"])
        assert remote is not None
        assert remote["state"] == state
        wait_until(
            lambda: [row["status"] for row in convex.rows(self.emulator, shown["daytona_id"])] == [status],
            what=f"{status} in Convex",
        )


@pytest.fixture
def installation(emulator: Emulator, transactional_db: None, tmp_path: Path) -> Iterator[Installation]:
    made = Installation(emulator, tmp_path)
    with made.stack:
        yield made


@pytest.fixture
def running(installation: Installation) -> Installation:
    """An installation with web and worker."""
    installation.start_web()
    installation.start_worker()
    return installation
