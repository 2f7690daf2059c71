"""The feed: every event of every sandbox in one order, in which nothing turns up behind a reader.

An event gets its number, `seq`, after it was committed, and whoever gives numbers holds the row of `Feed`. So who
sees a number sees all lower ones: a transaction that commits late gets a later number, one that is rolled back
none, and an open one keeps nobody waiting. Events of one sandbox keep their order: they are written under its lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import Max, QuerySet

from sandboxes import clock
from sandboxes.core.causes import cause_of
from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Actor, EventKind
from sandboxes.models import Feed, Sandbox, SandboxEvent
from sandboxes.services.facts import FOR_STAFF, as_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

BATCH = 5000
WINDOW = 2000  # events that a page looks at
# More than there will be events between a backup and the loss of what it was made of.
LOST_AT_MOST = 10**9
_NUMBER = """
UPDATE sandboxes_sandboxevent SET seq = %s + waiting.place
FROM (
    SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS place
    FROM sandboxes_sandboxevent WHERE seq IS NULL ORDER BY id LIMIT %s
) AS waiting
WHERE sandboxes_sandboxevent.id = waiting.id
"""


def number_events() -> Feed:
    """Give their numbers to the events that were committed since the last time; returns how far they go."""
    if SandboxEvent.objects.filter(seq=None).exists():
        with transaction.atomic():
            feed = _locked()
            with connection.cursor() as cursor:
                cursor.execute(_NUMBER, [feed.last, BATCH])
                feed.last += cursor.rowcount
            feed.save(update_fields=["last"])
        return feed
    return Feed.objects.first() or Feed()


def expire(before: datetime) -> None:
    """The events from before then will be deleted: whoever has not read them yet is told so."""
    while SandboxEvent.objects.filter(seq=None).exists():
        number_events()
    old = SandboxEvent.objects.filter(at__lt=before)
    with transaction.atomic():
        feed = _locked()
        feed.expired = max(feed.expired, old.aggregate(newest=Max("seq"))["newest"] or 0)
        feed.save(update_fields=["expired"])


def begin_anew() -> None:
    """After a restore from a backup: numbers that were given since are given to no other event."""
    number_events()
    with transaction.atomic():
        feed = _locked()
        feed.last += LOST_AT_MOST
        feed.expired = feed.last
        feed.save(update_fields=["last", "expired"])


def tell_removed(rows: QuerySet[Sandbox], kind: EventKind) -> None:
    """Events that outlive these rows, so that no copy of them stays. Of who was erased they keep no name."""
    now = clock.now()
    text = "Deleted here: it was gone for long" if kind == EventKind.PRUNED else "Erased with its owner"
    SandboxEvent.objects.bulk_create(
        SandboxEvent(kind=kind, owner=owner if kind == EventKind.PRUNED else "", at=now, text=text, data=_named(pk))
        for pk, owner in rows.values_list("pk", "owner_id")
    )


def _named(sandbox_id: UUID) -> dict[str, str]:
    return {"sandbox": str(sandbox_id)}


def _locked() -> Feed:
    Feed.objects.get_or_create(pk=1)
    return Feed.objects.select_for_update().get(pk=1)


@dataclass(frozen=True, slots=True)
class FeedPage:
    """`cursor` is how far the feed was read; `more` says that it goes on there already."""

    events: list[SandboxEvent]
    cursor: int
    more: bool


def read_page(
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


def shown(event: SandboxEvent, *, for_staff: bool) -> dict[str, Any]:
    """An event as it is told: by the API's lists and by webhooks alike."""
    hidden = () if for_staff else FOR_STAFF
    has_words = event.kind == EventKind.OBSERVATION and not for_staff  # "Daytona says error: <its words>"
    has_operation, noted = event.operation_id is not None, str(event.data.get("cause", ""))
    return {
        "seq": event.seq,
        "at": as_json(event.at),
        "type": event.kind,
        "sandbox": str(event.sandbox_id or event.data["sandbox"]),
        "owner": event.owner,
        "cause": cause_of(kind=event.kind, actor=event.actor, has_operation=has_operation, noted=noted),
        "actor": event.actor,
        "operation": str(event.operation_id) if has_operation else None,
        "status": event.data.get("status"),
        "code": str(event.data.get("code", "")),
        "message": event.text.partition(":")[0] if has_words else event.text,
        "changes": {name: value for name, value in event.changes.items() if name not in hidden},
        **({"data": event.data} if for_staff else {}),
    }


def _expired(start: int, expired: int) -> Refused:
    return Refused(Code.CURSOR_EXPIRED, f"Events are kept from {expired} on, and not from {start}.")


def _scope(actor: Actor, sandbox_id: UUID | None) -> QuerySet[SandboxEvent]:
    if sandbox_id is not None:
        return SandboxEvent.objects.filter(sandbox_id=sandbox_id)
    owner = actor.on_behalf_of
    return SandboxEvent.objects.all() if owner is None else SandboxEvent.objects.filter(owner=owner)
