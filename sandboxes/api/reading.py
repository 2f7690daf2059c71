"""The rows that views show, with all that their representation needs, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Prefetch, QuerySet

from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Actor
from sandboxes.models import Feed, Operation, Sandbox, SandboxEvent
from sandboxes.models.sandbox import LAST_ACCESSED
from sandboxes.services.feed import number_events

WINDOW = 2000


def _with_active(rows: QuerySet[Sandbox]) -> QuerySet[Sandbox]:
    active = Prefetch("operations", Operation.objects.active().with_whether_called(), to_attr="active")
    return rows.select_related("owner").prefetch_related(active)


def sandboxes(actor: Actor, *, for_staff: bool) -> QuerySet[Sandbox]:
    """Those that the actor may see. What Convex refused is for staff."""
    rows = _with_active(Sandbox.objects.visible_to(actor).with_doubt()).annotate(used_at=LAST_ACCESSED)
    return rows.select_related("projection") if for_staff else rows


def shown(row: Sandbox) -> Sandbox:
    """A row from a service, as a representation needs it."""
    if not hasattr(row, "active"):
        row.active = list(Operation.objects.active().filter(sandbox_id=row.pk))  # type: ignore[attr-defined]
    return row


def active(sandbox_id: UUID) -> Operation | None:
    return Operation.objects.active().filter(sandbox_id=sandbox_id).first()


def operations(actor: Actor) -> QuerySet[Operation]:
    return Operation.objects.visible_to(actor).select_related("sandbox")


def events(sandbox: Sandbox, *, for_staff: bool) -> QuerySet[SandboxEvent]:
    """The timeline. What Daytona and Convex were asked and said is for staff."""
    return SandboxEvent.objects.filter(sandbox=sandbox, kind__in=kinds(for_staff=for_staff))


def kinds(*, for_staff: bool) -> list[str]:
    """The kinds of events that a caller may read."""
    hidden = () if for_staff else (SandboxEvent.Kind.CALL, SandboxEvent.Kind.CONVEX)
    return [kind for kind in SandboxEvent.Kind.values if kind not in hidden]


@dataclass(frozen=True, slots=True)
class FeedPage:
    """`cursor` is how far the feed was read; `more` says that it goes on there already."""

    events: list[SandboxEvent]
    cursor: int
    more: bool


def feed_page(
    actor: Actor, *, after: str, limit: int, kinds: Iterable[str], sandbox_id: UUID | None = None
) -> FeedPage:
    """The next events that the actor may see. A page looks at WINDOW events, however few of them fit.

    Raises:
        Refused: CURSOR_EXPIRED.
    """
    feed = number_events()
    start = feed.last if after == "latest" else int(after or feed.expired)
    if start > feed.last:
        raise Refused(Code.CURSOR_EXPIRED, f"The feed has come to {feed.last}, not to {start}: it was begun anew.")
    scope = _scope(actor, sandbox_id).filter(seq__gt=start, seq__lte=feed.last).order_by("seq")
    window = list(scope.values_list("seq", flat=True)[WINDOW - 1 : WINDOW])
    end = window[0] if window else feed.last
    events = list(scope.filter(seq__lte=end, kind__in=kinds)[:limit])
    # Read last: what was deleted while we read is not passed over.
    expired = Feed.objects.values_list("expired", flat=True).first() or 0
    if start < expired:
        raise _expired(start, expired)
    cursor = events[-1].seq if len(events) == limit else end
    assert cursor is not None
    return FeedPage(events, cursor, more=cursor < feed.last)


def _expired(start: int, expired: int) -> Refused:
    return Refused(Code.CURSOR_EXPIRED, f"Events are kept from {expired} on, and not from {start}.")


def _scope(actor: Actor, sandbox_id: UUID | None) -> QuerySet[SandboxEvent]:
    if sandbox_id is not None:
        return SandboxEvent.objects.filter(sandbox_id=sandbox_id)
    owner = actor.on_behalf_of
    return SandboxEvent.objects.all() if owner is None else SandboxEvent.objects.filter(owner=owner)
