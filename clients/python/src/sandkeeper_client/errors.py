"""One class for each family of codes: what a program does next depends on the family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class SandkeeperError(Exception):
    """The API said no, or nothing. `code` is stable, `detail` and `remedy` are for people."""

    def __init__(self, problem: Mapping[str, Any], *, retry_after: float | None = None) -> None:
        self.problem = dict(problem)
        self.code = str(problem.get("code", ""))
        self.status = int(problem.get("status", 0))
        self.detail = str(problem.get("detail", ""))
        self.remedy = str(problem.get("remedy", ""))
        self.request_id = str(problem.get("request_id", ""))
        self.retry_after = retry_after  # seconds
        super().__init__(f"{self.code}: {self.detail} {self.remedy}".strip())


class Unreachable(SandkeeperError):
    """No answer, or one that is not Sandkeeper's. What was asked for may have happened."""


class Invalid(SandkeeperError):
    """The request is wrong: mend the program."""


class NotAllowed(SandkeeperError):
    """The key, its scopes or its network do not allow it."""


class NotFound(SandkeeperError):
    """There is no such thing, or no more: forget its id."""


class PersonSaidNo(SandkeeperError):
    """A person stopped it, or holds its owner: tell the user, and do not try again by yourself."""


class NoRoom(SandkeeperError):
    """A quota or a limit is reached: tell the user."""


class Broken(SandkeeperError):
    """The sandbox itself is in an error: recover it, or offer a new one."""


class Overtaken(SandkeeperError):
    """Somebody else was there first: look again, and decide anew."""


class Conflict(SandkeeperError):
    """Not in the state that it is in now."""


class CursorExpired(SandkeeperError):
    """Events after this cursor are not kept: list everything, and follow from `latest`."""


class DaytonaFailed(SandkeeperError):
    """Daytona refused, or did not finish in time: once more after a pause, then tell the user."""


class NotNow(SandkeeperError):
    """Too much, too early, or out of order on the server's side: later, with the same request."""


OF_CODES: dict[type[SandkeeperError], tuple[str, ...]] = {
    PersonSaidNo: ("sandbox_stopped_by_user", "owner_on_hold"),
    NoRoom: ("capacity_exhausted", "quota_too_small", "disk_quota_full", "sandbox_limit_reached"),
    Broken: ("sandbox_errored", "sandbox_unrecoverable", "recovery_cooldown"),
    Overtaken: ("superseded", "cancelled", "no_longer_due", "precondition_failed"),
    CursorExpired: ("cursor_expired",),
    NotNow: ("request_in_progress",),
}
OF_STATUSES: dict[type[SandkeeperError], tuple[int, ...]] = {
    NotAllowed: (401, 403),
    NotFound: (404, 410),
    Conflict: (409,),
    NotNow: (408, 429, 500, 503),
    DaytonaFailed: (502, 504),
}
_BY_CODE = {code: family for family, codes in OF_CODES.items() for code in codes}
_BY_STATUS = {status: family for family, statuses in OF_STATUSES.items() for status in statuses}


def family_of(code: str, status: int) -> type[SandkeeperError]:
    """The class of a code; of one that this client does not know, by its HTTP status."""
    return _BY_CODE.get(code) or _BY_STATUS.get(status) or (NotNow if status >= 500 else Invalid)
