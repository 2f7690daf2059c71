"""Convex's HTTP API, in the words of this project. Nothing outside `providers/convex*.py` knows it.

Every method is one call that returns, or raises a `ConvexError`, within the connect and read timeouts. Only
queries are repeated, up to three times in five seconds; mutations never are, because only the caller knows
what a repetition would overwrite. Success is an envelope that says `success`; HTTP 200 alone proves nothing.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from django.conf import settings

from sandboxes.providers.convex.as_owner import AsOwner
from sandboxes.providers.convex.deployment import ACT_AS_USER, read_value
from sandboxes.providers.convex.doctor import Diagnosis, diagnose
from sandboxes.providers.convex.errors import (
    ConvexApplicationError,
    ConvexConflict,
    ConvexError,
    ConvexPaused,
    ConvexRejected,
    ConvexThrottled,
    ConvexUnauthorized,
    ConvexUnavailable,
    FunctionFailed,
    FunctionMissing,
)
from sandboxes.providers.convex.functions import Capabilities, Function
from sandboxes.providers.convex.rows import (
    ApplicationRow,
    Applied,
    ConvexRow,
    RowChange,
    RowPage,
    read_applied,
    read_row,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ACT_AS_USER",
    "MAX_CHANGES",
    "ApplicationRow",
    "Applied",
    "Capabilities",
    "ConvexApplicationError",
    "ConvexConflict",
    "ConvexError",
    "ConvexGateway",
    "ConvexPaused",
    "ConvexRejected",
    "ConvexRow",
    "ConvexThrottled",
    "ConvexUnauthorized",
    "ConvexUnavailable",
    "Diagnosis",
    "Function",
    "FunctionFailed",
    "FunctionMissing",
    "RowChange",
    "RowPage",
    "gateway",
    "reset",
]

MAX_CHANGES = 100


class ConvexGateway(AsOwner):
    """Convex for one deploy key: `ConvexGateway(url=…, deploy_key=…)`. Safe to share between threads."""

    # one sandbox's row, by the application's functions

    def create_row(self, daytona_id: str, *, owner: str, row: ConvexRow) -> str:
        """Insert a row and return its id. Not idempotent: after any doubt ask `owner_of` first.

        Raises ConvexApplicationError with `application_code` `sandbox_limit_reached` on `main`, and
        FunctionFailed for a `harness_id` that is none, as for any other cause: see its `cause_unknown`.
        """
        args = {"daytonaSandboxId": daytona_id, "userId": owner, **row.created()}
        return str(self.call(Function.CREATE, args))

    def owner_of(self, daytona_id: str) -> str | None:
        """The owner in the sandbox's (first) row; None when there is no row."""
        owner = self.call(Function.OWNER, {"daytonaSandboxId": daytona_id})
        return str(owner) if owner is not None else None

    def update_status(self, daytona_id: str, *, status: str, error_message: str | None = "") -> None:
        """Also moves Convex's own lastAccessedAt. Success does not prove that there is a row.

        An empty `error_message` leaves the row without one: `main` keeps what it is not given, so there (known by
        what it removes with) an empty one is sent. None says nothing of it: `main` keeps the row's, the other two
        sets clear it, but in an error.
        """
        args = {"daytonaSandboxId": daytona_id, "status": status}
        if error_message or (error_message is not None and self.has(Function.REMOVE) is not True):
            args["errorMessage"] = error_message
        self.call(Function.UPDATE_STATUS, args)

    def update_name(self, daytona_id: str, *, name: str) -> None:
        """Raises FunctionMissing on `main`."""
        self.call(Function.UPDATE_NAME, {"daytonaSandboxId": daytona_id, "name": name})

    def touch(self, daytona_id: str) -> None:
        """Set lastAccessedAt to Convex's now. Raises FunctionMissing on `main`."""
        self.call(Function.TOUCH, {"daytonaSandboxId": daytona_id})

    def status_of(self, daytona_id: str) -> str | None:
        """The status in the (first) row. Raises FunctionMissing but on the first published set."""
        status = self.call(Function.STATUS, {"daytonaSandboxId": daytona_id})
        return str(status) if status is not None else None

    def remove(self, daytona_id: str) -> None:
        """Remove the row, by whichever removing function is there. Without a row nothing happens."""
        args = {"daytonaSandboxId": daytona_id}
        if self.has(Function.REMOVE) is not False:
            try:
                self.call(Function.REMOVE, args)
                return
            except FunctionMissing:
                if self.has(Function.REMOVE_ON_MAIN) is False:
                    raise
        self.call(Function.REMOVE_ON_MAIN, args)

    def list_for_reconcile(self, owner: str) -> list[ApplicationRow]:
        """The owner's rows, id and status. Raises FunctionMissing but on the second published set."""
        value = self.call(Function.LIST_FOR_RECONCILE, {"userId": owner})
        return read_value(lambda: [read_row(item) for item in value], Function.LIST_FOR_RECONCILE)

    # many rows, by our own functions (convex/sandkeeper.ts)

    def apply(self, changes: Sequence[RowChange]) -> list[Applied]:
        """Write up to 100 changes in one transaction; one answer each, in order. Safe to repeat.

        Only newer revisions are written: `stale` comes with the stored one. Raises ValueError for more.
        """
        if len(changes) > MAX_CHANGES:
            raise ValueError(f"{len(changes)} changes; Convex takes {MAX_CHANGES} in one call")
        value = self.call(Function.APPLY, {"changes": [change.wire() for change in changes]})
        return read_value(lambda: read_applied(value), Function.APPLY)

    def list_all(self, cursor: str | None = None, *, limit: int = 200) -> RowPage:
        """One page of every row there is; go on with the page's cursor until it is None."""
        value = self.call(Function.LIST_ALL, {"cursor": cursor, "limit": limit})
        return read_value(
            lambda: RowPage(tuple(read_row(item) for item in value["rows"]), value["cursor"]),
            Function.LIST_ALL,
        )

    def lacking(self) -> tuple[str, ...]:
        """The tables' indexes that our own functions need and the application's schema does not have."""
        value = self.call(Function.PROBE, {})
        return read_value(lambda: tuple(str(name) for name in value["missing"]), Function.PROBE)

    def diagnose(self) -> Diagnosis:
        """Look at everything that can be wrong between us and Convex. Never raises a ConvexError."""
        return diagnose(self)


_lock = threading.Lock()
_current: ConvexGateway | None = None


def gateway() -> ConvexGateway | None:
    """The gateway of this process, made from the settings at the first call; None: projection is off."""
    global _current
    if not settings.CONVEX_URL or not settings.CONVEX_DEPLOY_KEY:
        return None
    with _lock:
        if _current is None:
            _current = ConvexGateway(
                url=settings.CONVEX_URL,
                deploy_key=settings.CONVEX_DEPLOY_KEY,
                connect_timeout=settings.CONVEX_CONNECT_TIMEOUT,
                read_timeout=settings.CONVEX_READ_TIMEOUT,
                unauthorized_pause=settings.CONVEX_UNAUTHORIZED_PAUSE,
                paused_pause=settings.CONVEX_PAUSED_PAUSE,
                issuer=settings.OIDC_ISSUER,
            )
        return _current


def reset() -> None:
    """Forget this process's gateway, and with it all that it learned."""
    global _current
    with _lock:
        if _current is not None:
            _current.close()
        _current = None


def _after_fork() -> None:
    """A child must not use its parent's sockets, nor wait for a lock that a thread of the parent held."""
    global _current, _lock
    _lock = threading.Lock()
    _current = None


os.register_at_fork(after_in_child=_after_fork)
