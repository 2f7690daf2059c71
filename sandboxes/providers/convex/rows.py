"""What we send to Convex and read back, typed. Absent and null differ there, so absent keys are left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

PushOutcome = Literal["applied", "stale", "foreign_owner", "no_row", "removed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvexRow:
    """What a sandbox's row says. Empty strings are absent keys; `created_at_ms` since the epoch."""

    name: str
    status: str
    ephemeral: bool
    cpu: float
    memory_gb: float
    disk_gb: float
    created_at_ms: int
    error_message: str = ""
    language: str = ""
    snapshot: str = ""
    git_repo: str = ""
    harness_id: str = ""

    def created(self) -> dict[str, Any]:
        """The fields that createInternal takes."""
        return {
            "name": self.name,
            "status": self.status,
            "ephemeral": self.ephemeral,
            "resources": {"cpu": self.cpu, "memoryGB": self.memory_gb, "diskGB": self.disk_gb},
            **_present(language=self.language, harnessId=self.harness_id),
        }

    def whole(self) -> dict[str, Any]:
        """The fields of a row in `sandkeeper:apply`."""
        return (
            self.created()
            | {"createdAt": self.created_at_ms}
            | _present(errorMessage=self.error_message, snapshotId=self.snapshot, gitRepo=self.git_repo)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """One change for `sandkeeper:apply`: a row to write, `remove`, or neither: a touch.

    `revision` guards rows and removals; `last_accessed_ms` never moves backwards whatever it is. A row that exists
    gets the status, and its name only where this `renames` it. Its message is replaced by ours; where we have none,
    one of `takes_back` is cleared and any other left. `absent` (create, leave, recreate) is for where there is no
    row: `leave` and, where Convex was sent one before, `create` leave it at that.
    `first_creation`: a person's create made the sandbox and Convex never showed it: only then the row's
    harness may be linked, if it is the owner's and free.
    """

    sandbox_id: str
    daytona_id: str
    owner: str
    revision: int
    row: ConvexRow | None = None
    remove: bool = False
    renames: bool = True
    takes_back: Sequence[str] = ()
    absent: str = "create"
    first_creation: bool = False
    last_accessed_ms: int | None = None

    def __post_init__(self) -> None:
        if self.remove and self.row is not None:
            raise ValueError("a change either removes the row or writes it")

    def wire(self) -> dict[str, Any]:
        change: dict[str, Any] = {
            "sandboxId": self.sandbox_id,
            "daytonaSandboxId": self.daytona_id,
            "userId": self.owner,
            "revision": self.revision,
        }
        if self.remove or self.row is not None:
            change["row"] = None if self.row is None else self._wire_row(self.row)
        if self.first_creation:
            change["firstCreation"] = True
        if self.last_accessed_ms is not None:
            change["lastAccessedAt"] = self.last_accessed_ms
        return change

    def _wire_row(self, row: ConvexRow) -> dict[str, Any]:
        rules = {"rename": self.renames, "takeBack": list(self.takes_back), "ifAbsent": self.absent}
        return row.whole() | rules


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one change. `revision` is the one stored now: go on above it after `stale`.

    `removed`: its user took the row off the list, so nothing was written. `harness_linked`: whether the harness of
    a first creation was; None when none was asked for.
    """

    daytona_id: str
    outcome: PushOutcome
    revision: int
    harness_linked: bool | None = None


@dataclass(frozen=True, slots=True)
class ApplicationRow:
    """A row of the application's table `sandboxes`. None is what the function that was asked does not tell.

    `name`, `message` and `harness_id` may be "": told, and empty or absent. `row_id` is Convex's id of the row,
    `harness_id` the harness that it was made for, whether that is linked or not. `sandbox_id` and `revision`
    are ours, of rows that our own functions have written.
    """

    daytona_id: str
    status: str
    owner: str = ""
    name: str | None = None
    message: str | None = None
    harness_id: str | None = None
    row_id: str = ""
    ephemeral: bool | None = None
    language: str | None = None
    last_used_ms: int | None = None
    sandbox_id: str = ""
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class RowPage:
    rows: tuple[ApplicationRow, ...]
    cursor: str | None  # None: this was the last page


def read_applied(value: Any) -> list[Applied]:
    return [
        Applied(item["daytonaSandboxId"], item["outcome"], int(item["revision"]), item.get("harnessLinked"))
        for item in value
    ]


def read_row(item: Any) -> ApplicationRow:
    """From any of the functions that list: one that tells the name tells the whole row."""
    whole = "name" in item
    return ApplicationRow(
        daytona_id=item["daytonaSandboxId"],
        status=item["status"],
        owner=item.get("userId", ""),
        name=item.get("name"),
        message=item.get("errorMessage", "") if whole else None,
        harness_id=item.get("harnessId", "") if whole else None,
        row_id=item.get("_id", ""),
        ephemeral=item.get("ephemeral"),
        language=item.get("language", "") if whole else None,
        last_used_ms=_whole_number(item, "lastAccessedAt"),
        sandbox_id=item.get("sandboxId", ""),
        revision=_whole_number(item, "revision"),
    )


def _whole_number(item: Any, name: str) -> int | None:
    return int(item[name]) if name in item else None


def _present(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}
