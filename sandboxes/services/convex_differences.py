"""What is wrong with Convex's rows of a sandbox, and what could not be compared. Pure: no query, no call."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sandboxes.core.shown import Absent, Push, our_messages, to_push

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sandboxes.models import ConvexProjection, Sandbox
    from sandboxes.providers.convex.gateway import ApplicationRow


class DifferenceKind(StrEnum):
    VANISHED = "vanished"  # Convex has no row, and there shall be one
    STALE = "stale"
    RENAMED = "renamed"  # somebody gave it another name there
    LEFT_OVER = "left_over"
    DUPLICATE = "duplicate"
    FOREIGN_OWNER = "foreign_owner"
    UNKNOWN = "unknown"


class Aspect(StrEnum):
    """What is compared of a row."""

    EXISTENCE = "existence"
    OWNER = "owner"
    STATUS = "status"
    NAME = "name"
    MESSAGE = "message"


@dataclass(frozen=True, slots=True)
class ConvexDifference:
    """One difference. `sandbox_id` is ours, "" for a row in Convex that we do not know."""

    kind: DifferenceKind
    daytona_id: str
    owner: str
    detail: str
    sandbox_id: str = ""


def difference(
    projection: ConvexProjection, there: Sequence[ApplicationRow], *, is_twin: bool = False
) -> ConvexDifference | None:
    """What is wrong with Convex's rows of one sandbox; `is_twin`: it has one more of it."""
    push = to_push(projection, projection.sent)
    row = projection.sandbox

    def finding(kind: DifferenceKind, detail: str) -> ConvexDifference:
        return ConvexDifference(kind, row.daytona_id or "", row.owner_id, detail, str(row.pk))

    if not there:
        return (
            None if push is None or projection.removed else finding(DifferenceKind.VANISHED, _vanished(row, push))
        )
    foreign = next((item.owner for item in there if item.owner not in ("", row.owner_id)), None)
    if foreign is not None:
        message = f"Convex's row of {row.daytona_id} belongs to {foreign!r}, not to {row.owner_id!r}"
        return finding(DifferenceKind.FOREIGN_OWNER, message)
    if push is None:
        return finding(DifferenceKind.LEFT_OVER, f"Convex still shows “{row.display_name}”, which is deleted")
    if len(there) + is_twin > 1:
        count = len(there) + is_twin
        message = f"Convex has {count} rows of “{row.display_name}”; `sandkeeper:apply` makes one of them"
        return finding(DifferenceKind.DUPLICATE, message)
    return _other_values(projection, push, there[0], finding)


def _vanished(row: Sandbox, push: Push) -> str:
    if push.absent == Absent.LEAVE:
        return (
            f"“{row.display_name}” was taken off the list in Convex; it is not put back unless it is pushed again"
        )
    return f"Convex has no row of “{row.display_name}”"


def _other_values(
    projection: ConvexProjection,
    push: Push,
    item: ApplicationRow,
    finding: Callable[[DifferenceKind, str], ConvexDifference],
) -> ConvexDifference | None:
    row = projection.sandbox
    changed = list(_stale(projection, push, item))
    renamed = bool(item.name is not None and push.shown.name and item.name != push.shown.name)
    if renamed:
        changed.append(f"name (“{item.name}”)")
    if not changed:
        return None
    is_ours_to_send = len(changed) > renamed or push.name is not None
    said = f"Convex shows “{row.display_name}” with another {', '.join(changed)}"
    if is_ours_to_send:
        return finding(DifferenceKind.STALE, said)
    return finding(DifferenceKind.RENAMED, f"{said}; it is left: rename it here, or push it again")


def _stale(projection: ConvexProjection, push: Push, item: ApplicationRow) -> Iterator[str]:
    if item.status and item.status != push.shown.status:
        yield f"status ({item.status}, not {push.shown.status})"
    if item.message is not None and _message_is_stale(projection, push, item.message):
        yield "message"


def _message_is_stale(projection: ConvexProjection, push: Push, message: str) -> bool:
    """Ours is not there, or one of ours is that is over. What somebody else wrote is theirs."""
    if push.shown.error:
        return message != push.shown.error
    return message in our_messages(projection.sandbox, projection.sent)


def compared(row: Sandbox, there: Sequence[ApplicationRow]) -> dict[Aspect, bool]:
    """Which aspects of the row were compared; False: no function tells it here."""
    aspects = {Aspect.EXISTENCE: True}
    if not there:
        return aspects
    item = there[0]
    aspects |= {Aspect.OWNER: item.owner != "", Aspect.STATUS: item.status != ""}
    if row.name_known:  # no person has named it: there is nothing to compare
        aspects[Aspect.NAME] = item.name is not None
    return aspects | {Aspect.MESSAGE: item.message is not None}
