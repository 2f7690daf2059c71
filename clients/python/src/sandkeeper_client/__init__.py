"""A client of Sandkeeper, the control plane for AI sandboxes."""

from __future__ import annotations

from sandkeeper_client.client import AsyncSandkeeper, Sandkeeper
from sandkeeper_client.errors import (
    Broken,
    Conflict,
    CursorExpired,
    DaytonaFailed,
    Invalid,
    NoRoom,
    NotAllowed,
    NotFound,
    NotNow,
    Overtaken,
    PersonSaidNo,
    SandkeeperError,
    Unreachable,
)

__all__ = [
    "AsyncSandkeeper",
    "Broken",
    "Conflict",
    "CursorExpired",
    "DaytonaFailed",
    "Invalid",
    "NoRoom",
    "NotAllowed",
    "NotFound",
    "NotNow",
    "Overtaken",
    "PersonSaidNo",
    "Sandkeeper",
    "SandkeeperError",
    "Unreachable",
]
