"""When Convex was last compared with our rows and what came of it: asked by sweeps, the doctor and metrics."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings

from sandboxes import clock
from sandboxes.core.codes import NoticeCode
from sandboxes.models import Schedule
from sandboxes.services import notices, schedules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAME = "convex_verification"


@dataclass(frozen=True, slots=True)
class Verification:
    """`counts` by kind of difference; `compared` and `unread` by what of a row; `error`: why it ended early."""

    at: datetime
    checked: int
    counts: Mapping[str, int] = field(default_factory=dict)
    compared: Mapping[str, int] = field(default_factory=dict)
    unread: Mapping[str, int] = field(default_factory=dict)
    error: str = ""

    @property
    def differences(self) -> int:
        return sum(self.counts.values())

    def in_words(self) -> str:
        """What differed, what was compared, and what could not be."""
        found = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in self.counts.items() if count)
        compared = ", ".join(self.compared) or "nothing"
        unread = f"; cannot be read here: {', '.join(self.unread)}" if self.unread else ""
        return f"{self.checked} sandboxes, {found or 'no difference'}; compared: {compared}{unread}"


def last() -> Verification | None:
    row = Schedule.objects.filter(name=NAME).first()
    if row is None or "at" not in row.result:
        return None
    return Verification(**row.result | {"at": datetime.fromisoformat(row.result["at"])})


def remember(made: Verification) -> None:
    """Keep what came of it; what differs is a notice until a verification finds nothing."""
    result = asdict(made) | {"at": made.at.isoformat()}
    Schedule.objects.update_or_create(name=NAME, defaults={"result": result})
    if made.differences:
        notices.tell(NoticeCode.CONVEX_DIFFERS, f"Convex shows otherwise than it should: {made.in_words()}.")
    elif not made.error:
        notices.close(NoticeCode.CONVEX_DIFFERS)


def when_due(verify: Callable[[], bool]) -> None:
    """Carry it out if it was not in CONVEX_VERIFY_EVERY seconds, by any process; one that failed is due again."""
    if settings.CONVEX_VERIFY_EVERY > 0:
        schedules.when_due(NAME, verify, every=settings.CONVEX_VERIFY_EVERY)


def is_overdue(made: Verification | None) -> bool:
    """Whether the schedule is not kept: two in a row are missing."""
    every = settings.CONVEX_VERIFY_EVERY
    return every > 0 and made is not None and (clock.now() - made.at).total_seconds() > 2 * every
