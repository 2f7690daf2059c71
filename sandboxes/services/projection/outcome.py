"""What came of a push, written down: on the row, on its timeline, as a notice, as a rest for everybody."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from project.readable import cut
from sandboxes import clock
from sandboxes.codes import Code, NoticeCode
from sandboxes.gateways import convex_errors as convex
from sandboxes.models import Notice, Operation, Sandbox, SandboxEvent
from sandboxes.services import notices, record
from sandboxes.services.projection import circuit_breaker, lease
from sandboxes.services.queue import enqueue
from sandboxes.states import ACTIVE, Action

ERROR_LIMIT = 2000
REMOVED = "the user removed it from the list; it is not put back unless somebody pushes it again"


class ForeignOwner(Exception):
    """Convex's row of this sandbox names another owner: reported, never overwritten."""


class NotYet(Exception):
    """Nothing is wrong, but the call has to wait; the text says for what."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """`label` begins `convex_error`. `notice`: the condition that staff must know. `rests`: for all rows."""

    label: str
    notice: NoticeCode | None = None
    rests: bool = False


WAITING = Meaning("Waiting")
LACKS = "Function missing"
MEANINGS: dict[type[Exception], Meaning] = {
    NotYet: WAITING,
    convex.ConvexThrottled: WAITING,
    convex.ConvexConflict: WAITING,
    convex.ConvexUnavailable: WAITING,
    convex.ConvexPaused: Meaning("Paused", NoticeCode.CONVEX_PAUSED, rests=True),
    convex.ConvexUnauthorized: Meaning("Unauthorized", NoticeCode.CONVEX_UNAUTHORIZED, rests=True),
    convex.FunctionMissing: Meaning(LACKS, NoticeCode.CONVEX_FUNCTION_MISSING),
    ForeignOwner: Meaning("Foreign owner", NoticeCode.CONVEX_FOREIGN_OWNER),
}
REFUSED = Meaning("Refused", NoticeCode.CONVEX_REFUSED)
_ALL = [meaning for meaning in (*MEANINGS.values(), REFUSED) if meaning.notice]
# Conditions of the whole deployment, and those of single rows, which are over when no row has them any more.
OF_ALL = [meaning.notice for meaning in _ALL if meaning.notice and meaning.rests]
OF_ROWS = {meaning.notice: meaning.label for meaning in _ALL if meaning.notice and not meaning.rests}


@dataclass
class Report:
    """What a push learns and does about one row, until it is written down.

    `sent`, `known`: as on the row. `again`: a lost call may commit until then; `is_again`: it is then, and
    what was lost is sent once more. `did`: for the timeline. `removed`: its user took it off the list. `links`: its
    harness is still to be linked.
    """

    row: Sandbox
    sent: dict[str, Any]
    known: bool
    again: datetime | None
    is_again: bool = False
    did: list[str] = field(default_factory=list)
    removed: bool = False
    links: bool = False
    doing: str = ""

    @property
    def has_row(self) -> bool:
        return "row" in self.sent

    @property
    def is_unsettled(self) -> bool:
        """A call of ours got lost, and it is too early to say that it will never be carried out."""
        return self.again is not None and not self.is_again

    @property
    def late_calls(self) -> dict[str, Any]:
        """The kinds of calls that got lost, and may still be carried out; kept in `sent` until that is settled."""
        return {"late": self.sent["late"]} if "late" in self.sent else {}

    @property
    def without_row(self) -> dict[str, Any]:
        return self.late_calls

    @property
    def to_send(self) -> dict[str, Any]:
        """What Convex is known to have, but for what a lost call may have changed since."""
        lost = set(self.sent.get("late", ())) if self.is_again else set()
        forgotten = {"name"} & lost | ({"status"} if self.is_again else set())
        return {key: value for key, value in self.sent.items() if key not in forgotten}

    @property
    def may_be_our_removal(self) -> bool:
        """Whether a removal of ours that got lost explains that there is no row."""
        return "remove" in self.sent.get("late", ())

    def about_to(self, kind: str) -> None:
        self.doing = kind

    def lost(self, again: datetime) -> None:
        """What became of the call under way is unknown."""
        self.again = again
        self.sent["late"] = sorted({*self.sent.get("late", ()), self.doing})

    def settled(self) -> None:
        """Every call that got lost has ended, and what it may have changed was sent again."""
        self.again = None
        self.sent.pop("late", None)

    def found(self) -> None:
        """Convex has a row of it: no harness is linked any more, and nobody took it off the list."""
        self.sent.pop("again", None)
        self.sent["row"], self.known, self.removed, self.links = True, True, False, False

    def forget(self) -> None:
        self.sent, self.known = self.without_row, False

    def leave_removed(self) -> None:
        """Its user took it off the list: it is not put back. Said once."""
        if not self.removed:
            self.did.append(REMOVED)
        self.sent, self.known, self.removed = {}, False, True


def meaning_of(error: Exception) -> Meaning:
    return next((meaning for kind, meaning in MEANINGS.items() if isinstance(error, kind)), REFUSED)


def words_of(error: Exception) -> str:
    return cut(f"{meaning_of(error).label}: {error}", ERROR_LIMIT)


def pushed(held: lease.Held, reports: list[Report]) -> int:
    """Convex has the values of the revision that was read. A row that changed meanwhile stays dirty and due.

    Returns how many were still ours to write.
    """
    now = clock.now()
    with transaction.atomic():
        revisions = lease.revisions(held, [report.row.pk for report in reports])
        done = [report for report in reports if report.row.pk in revisions]
        changed = [report for report in done if report.row.revision != revisions[report.row.pk]]
        _mark_pushed(held, [report for report in done if report not in changed], now)
        for report in changed:
            result = _result(report, now) | {"dirty_since": held.now, "convex_next_push_at": now}
            lease.write(held, [report.row.pk], **result)
            enqueue("push_sandbox", report.row.pk)
        _add_events(done, now)
    well(had_errors=any(report.row.convex_error for report in done))
    return len(done)


def _result(report: Report, now: datetime) -> dict[str, Any]:
    return {
        "convex_revision": report.row.revision,
        "convex_known": report.known,
        "convex_sent": report.sent,
        "convex_removed": report.removed,
        "convex_link_due": report.links,
        "convex_error": "",
        "convex_refusal": "",
        "convex_attempt": 0,
        "convex_again_at": report.again,
        "convex_pushed_at": now,
    }


def _mark_pushed(held: lease.Held, reports: list[Report], now: datetime) -> None:
    """Rows of which the same is to be written take one UPDATE together: those of a batch nearly always."""
    alike: dict[str, tuple[dict[str, Any], list[UUID]]] = {}
    for report in reports:
        result = _result(report, now) | {
            "convex_revision": F("revision"),
            "dirty_since": None,
            "convex_next_push_at": report.again,
        }
        alike.setdefault(repr(result), (result, []))[1].append(report.row.pk)
    for result, ids in alike.values():
        lease.write(held, ids, **result)


def _add_events(reports: list[Report], now: datetime) -> None:
    SandboxEvent.objects.bulk_create(
        record.line(
            report.row,
            SandboxEvent.Kind.CONVEX,
            f"Convex: {', '.join(report.did)}",
            at=now,
            data={"revision": report.row.revision},
        )
        for report in reports
        if report.did
    )


def well(*, had_errors: bool) -> None:
    """Convex takes what is sent: what stood against all pushes is over, what stood against rows perhaps."""
    if circuit_breaker.read().reason:
        circuit_breaker.close()
        for code in OF_ALL:
            notices.close(code)
    if not had_errors:
        return
    for open_ in Notice.objects.filter(code__in=OF_ROWS, closed_at=None):
        code = NoticeCode(open_.code)
        if not Sandbox.objects.filter(convex_error__startswith=f"{OF_ROWS[code]}:").exists():
            notices.close(code)


def failed(held: lease.Held, reports: list[Report], error: Exception) -> None:
    """Convex did not take it: the rows stay dirty, are tried again later, and say why."""
    words = words_of(error)
    is_news = meaning_of(error) is not WAITING
    now = clock.now()
    with transaction.atomic():
        for report in reports:
            written = _keep_dirty(held, report, words, now)
            if written and is_news and words != report.row.convex_error:
                record.event(report.row, SandboxEvent.Kind.CONVEX, words, at=now)
    tell(error)


def _keep_dirty(held: lease.Held, report: Report, words: str, now: datetime) -> bool:
    row = report.row
    written = lease.write(
        held,
        [row.pk],
        convex_known=report.known,
        convex_sent=report.sent,
        convex_removed=report.removed,
        convex_link_due=report.links,
        convex_error=words,
        convex_attempt=row.convex_attempt + 1,
        convex_again_at=report.again,
        convex_next_push_at=now + timedelta(seconds=circuit_breaker.backoff(row.convex_attempt)),
    )
    return written == 1


def tell(error: Exception) -> None:
    """What an error means beyond the row that met it: a notice, a rest for everybody."""
    meaning = meaning_of(error)
    if meaning.notice is not None:
        notices.tell(meaning.notice, words_of(error))
    if meaning.rests and meaning.notice is not None:
        circuit_breaker.trip(meaning.notice)
    elif isinstance(error, convex.ConvexThrottled | convex.ConvexUnavailable):
        circuit_breaker.record_failure()


def no_room(held: lease.Held, report: Report, error: convex.ConvexError) -> None:
    """Convex's own cap refused the row. A sandbox that is still being created is undone by its operation;
    one that exists stays, and is tried again."""
    failed(held, [report], error)
    create = Operation.objects.filter(sandbox=report.row, action=Action.CREATE, status__in=ACTIVE).first()
    if create is None:
        return
    with transaction.atomic():
        unpushed = Sandbox.objects.filter(pk=report.row.pk, convex_lease_token="", convex_revision=0)
        if unpushed.update(convex_refusal=Code.SANDBOX_LIMIT_REACHED) == 1:
            enqueue("advance_operation", create.pk)


def go_above(held: lease.Held, report: Report, stored: int) -> None:
    """Convex has a revision as new as ours that says something else: a database restored from a backup, or a
    row that was changed over there. Ours goes on above it."""
    row = report.row
    with transaction.atomic():
        known = {key: report.sent[key] for key in ("name", "error", "again") if key in report.sent}
        if not lease.write(held, [row.pk], convex_known=True, convex_sent={"row": True, **known}):
            return
        with record.locked(row.pk) as fresh:
            fresh.revision = max(fresh.revision, stored) + 1
            fresh.convex_next_push_at = clock.now()
            words = f"Convex: had revision {stored} with other values; going on above it with {fresh.revision}"
            record.event(fresh, SandboxEvent.Kind.CONVEX, words, data={"stored": stored, "ours": row.revision})
            enqueue("push_sandbox", row.pk)


def foreign(row: Sandbox, owner: str = "") -> ForeignOwner:
    other = f"{owner!r}" if owner else "another owner"
    return ForeignOwner(
        f"Convex's row of {row.daytona_id} belongs to {other}, not to {row.owner_id!r}. Correct it in Convex."
    )


def report_of(held: lease.Held, row: Sandbox) -> Report:
    is_again = row.convex_again_at is not None and row.convex_again_at <= held.now
    return Report(
        row,
        dict(row.convex_sent),
        row.convex_known,
        row.convex_again_at,
        is_again,
        removed=row.convex_removed,
        links=row.convex_link_due,
    )
