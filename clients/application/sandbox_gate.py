"""The agent path of the application's FastAPI service: put it beside `daytona_service.py`, which asks it first.

`_ensure_running` becomes `ensure_running(id, owner)` and `daytona.get(id)`. The cache and what made room go.
"""

from __future__ import annotations

import json
import os
from functools import cache
from typing import TYPE_CHECKING

from sandkeeper_client import PersonSaidNo, Sandkeeper

if TYPE_CHECKING:
    from sandkeeper_client.types import Sandbox


class SandboxStoppedByUserError(Exception):
    """As the application knows it: its 409, its agent's tools and its terminal show `message`."""

    code = "sandbox_stopped_by_user"

    def __init__(self, sandbox_id: str, sandbox_status: str, detail: str) -> None:
        self.sandbox_id = sandbox_id
        self.sandbox_status = sandbox_status
        self.message = f"{detail} Start it from the sandboxes page to continue."
        super().__init__(self.message)

    def as_body(self) -> dict[str, str]:
        """The body of the 409 that its exception handler answers."""
        return {"code": self.code, "message": self.message, "sandbox_status": self.sandbox_status}

    def as_tool_result(self) -> str:
        """What an agent's tool is answered."""
        return json.dumps({"type": "error", **self.as_body()})


@cache
def client() -> Sandkeeper:
    return Sandkeeper(os.environ["SANDKEEPER_URL"], os.environ["SANDKEEPER_KEY"])


def ensure_running(sandbox_id: str, owner: str) -> Sandbox:
    """The running sandbox of this owner: ask before each use. A foreign id is NotFound: no other check is needed.

    Raises:
        SandboxStoppedByUserError: a person stopped it, or its owner is on hold.
        SandkeeperError: it cannot run now, for another reason.
    """
    try:
        return client().on_behalf_of(owner).ensure_running(sandbox_id, reason="a tool call")
    except PersonSaidNo as no:
        status = str(no.problem.get("current_status", "stopped"))
        raise SandboxStoppedByUserError(sandbox_id, status, no.detail) from no


def touch(sandbox_id: str, owner: str) -> None:
    """Every minute of a long tool call: an idle sandbox may be stopped for room."""
    client().on_behalf_of(owner).touch_sandbox(sandbox_id)
