"""What came of a push, written down: on the row, on its timeline, as a notice, in the circuit breaker."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import F

from project.readable import cut
from sandboxes import clock
from sandboxes.core.codes import Code, NoticeCode
from sandboxes.core.vocabulary import Action, EventKind
from sandboxes.models import ConvexProjection, Notice, Operation, Sandbox, SandboxEvent
from sandboxes.providers.convex import errors as convex
from sandboxes.services import notices, sandbox_store
from sandboxes.services.projection import circuit_breaker, lease
from sandboxes.services.wake import wake

if TYPE_CHECKING:
    from uuid import UUID

    from sandboxes.models.projection import ProjectionRows

ERROR_LIMIT = 2000
REMOVED = "the user removed it from the list; it is not put back unless somebody pushes it again"


class ForeignOwner(Exception):
    """Convex's row of this sandbox names another owner: reported, never overwritten."""


class NotYet(Exception):
    """Nothing is wrong, but the call has to wait; the text says for what."""


@dataclass(frozen=True, slots=True)
class PushMeaning:
    """`label` begins `ConvexProjection.error`. `notice`: the condition that staff must know. `trips`: the circuit
    breaker, for all rows.
    """

    label: str
    notice: NoticeCode | None = None
    trips: bool = False


WAITING = PushMeaning("Waiting")
LACKS = "Function missing"
MEANINGS: dict[type[Exception], PushMeaning] = {
    NotYet: WAITING,
    convex.ConvexThrottled: WAITING,
    convex.ConvexConflict: WAITING,
    convex.ConvexUnavailable: WAITING,
    convex.ConvexPaused: PushMeaning("Paused", NoticeCode.CONVEX_PAUSED, trips=True),
    convex.ConvexUnauthorized: PushMeaning("Unauthorized", NoticeCode.CONVEX_UNAUTHORIZED, trips=True),
    convex.FunctionMissing: PushMeaning(LACKS, NoticeCode.CONVEX_FUNCTION_MISSING),
    ForeignOwner: PushMeaning("Foreign owner", NoticeCode.CONVEX_FOREIGN_OWNER),
}
REFUSED = PushMeaning("Refused", NoticeCode.CONVEX_REFUSED)
_ALL = [meaning for meaning in (*MEANINGS.values(), REFUSED) if meaning.notice]
# Conditions of the whole deployment, and those of single rows, which are over when no row has them any more.
OF_ALL = [meaning.notice for meaning in _ALL if meaning.notice and meaning.trips]
OF_ROWS = {meaning.notice: meaning.label for meaning in _ALL if meaning.notice and not meaning.trips}


@dataclass
class PushReport:
    """What a push learns and does about one row, until it is written down.

    `sent`, `known`: as on the row. `resend_at`: a lost call may commit until then; `is_resend`: it is then, and
    what was lost is sent once more. `did`: for the timeline. `removed`: its user took it off the list. `links`: its
    harness is still to be linked. `changed`: there is something newer to push by now.
    """

    row: ConvexProjection
    sent: dict[str, Any]
    known: bool
    resend_at: datetime | None
    is_resend: bool = False
    did: list[str] = field(default_factory=list)
    removed: bool = False
    links: bool = False
    changed: bool = False
    doing: str = ""

    @property
    def sandbox(self) -> Sandbox:
        return self.row.sandbox

    @property
    def has_row(self) -> bool:
        return "row" in self.sent

    @property
    def is_in_doubt(self) -> bool:
        """A call of ours got lost, and it is too early to say that it will never be carried out."""
        return self.resend_at is not None and not self.is_resend

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
        lost = set(self.sent.get("late", ())) if self.is_resend else set()
        forgotten = {"name"} & lost | ({"status"} if self.is_resend else set())
        return {key: value for key, value in self.sent.items() if key not in forgotten}

    @property
    def may_be_our_removal(self) -> bool:
        """Whether a removal of ours that got lost explains that there is no row."""
        return "remove" in self.sent.get("late", ())

    def about_to(self, kind: str) -> None:
        self.doing = kind

    def lost(self, resend_at: datetime) -> None:
        """What became of the call under way is unknown."""
        self.resend_at = resend_at
        self.sent["late"] = sorted({*self.sent.get("late", ()), self.doing})

    def settled(self) -> None:
        """Every call that got lost has ended, and what it may have changed was sent again."""
        self.resend_at = None
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


def meaning_of(error: Exception) -> PushMeaning:
    return next((meaning for kind, meaning in MEANINGS.items() if isinstance(error, kind)), REFUSED)


def message_of(error: Exception) -> str:
    return cut(f"{meaning_of(error).label}: {error}", ERROR_LIMIT)


def record_pushed(held: lease.HeldRows, reports: list[PushReport]) -> int:
    """Convex has the values of the generation that was read. A row that changed meanwhile stays behind and due.

    Returns how many were still ours to write.
    """
    now = clock.now()
    with transaction.atomic():
        done = _still_ours(held, reports)
        _mark_pushed(held, [report for report in done if not report.changed], now)
        for report in (report for report in done if report.changed):
            lease.release(held, [report.row.pk], **_result(report, now), behind_since=held.now, due_at=now)
            wake()
        _add_events(done, now)
    record_success(had_errors=any(report.row.error for report in done))
    return len(done)


def _still_ours(held: lease.HeldRows, reports: list[PushReport]) -> list[PushReport]:
    """Those that may be written, locked until the transaction ends, each with what came in during the push."""
    present = lease.present(held, [report.row.pk for report in reports])
    ours = [report for report in reports if report.row.pk in present]
    for report in ours:
        row = present[report.row.pk]
        report.changed = row.wanted_generation != report.row.wanted_generation
        if "again" in row.sent and "again" not in report.row.sent:  # a person has asked for it meanwhile
            report.sent["again"] = True
    return ours


def _result(report: PushReport, now: datetime) -> dict[str, Any]:
    return _learned(report) | {
        "pushed_generation": report.row.wanted_generation,
        "error": "",
        "refusal": "",
        "attempt": 0,
        "pushed_at": now,
    }


def _learned(report: PushReport) -> dict[str, Any]:
    """What is known after a push, however it ended."""
    return {
        "known": report.known,
        "sent": report.sent,
        "removed": report.removed,
        "link_due": report.links,
        "resend_at": report.resend_at,
    }


def _mark_pushed(held: lease.HeldRows, reports: list[PushReport], now: datetime) -> None:
    """Rows of which the same is to be written take one UPDATE together: those of a batch nearly always."""
    alike: dict[str, tuple[dict[str, Any], list[UUID]]] = {}
    for report in reports:
        result = _result(report, now) | {
            "pushed_generation": F("wanted_generation"),
            "behind_since": None,
            "due_at": report.resend_at,
        }
        alike.setdefault(repr(result), (result, []))[1].append(report.row.pk)
    for result, ids in alike.values():
        lease.release(held, ids, **result)


def _add_events(reports: list[PushReport], now: datetime) -> None:
    SandboxEvent.objects.bulk_create(
        sandbox_store.line(
            report.sandbox,
            EventKind.CONVEX,
            f"Convex: {', '.join(report.did)}",
            at=now,
            data={"generation": report.row.wanted_generation},
        )
        for report in reports
        if report.did
    )


def record_success(*, had_errors: bool) -> None:
    """Convex takes what is sent: what stood against all pushes is over, what stood against rows perhaps."""
    if circuit_breaker.read().reason:
        circuit_breaker.close()
        for code in OF_ALL:
            notices.close(code)
    if not had_errors:
        return
    for open_ in Notice.objects.filter(code__in=OF_ROWS, closed_at=None):
        code = NoticeCode(open_.code)
        if not met(OF_ROWS[code]).exists():
            notices.close(code)


def met(label: str) -> ProjectionRows:
    """The rows whose latest push ended with an error of this meaning."""
    rows: ProjectionRows = ConvexProjection.objects.filter(error__startswith=f"{label}:")
    return rows


def record_failure(held: lease.HeldRows, reports: list[PushReport], error: Exception) -> None:
    """Convex did not take it: the rows stay behind, are tried again later, and say why."""
    message = message_of(error)
    is_news = meaning_of(error) is not WAITING
    now = clock.now()
    with transaction.atomic():
        for report in _still_ours(held, reports):
            row = report.row
            pause = timedelta(seconds=circuit_breaker.backoff(row.attempt))
            failed = {"error": message, "attempt": row.attempt + 1, "due_at": now + pause}
            lease.release(held, [row.pk], **_learned(report), **failed)
            if is_news and message != row.error:
                sandbox_store.event(report.sandbox, EventKind.CONVEX, message, at=now)
    tell(error)


def tell(error: Exception) -> None:
    """What an error means beyond the row that met it: a notice, one failure more for the circuit breaker."""
    meaning = meaning_of(error)
    if meaning.notice is not None:
        notices.tell(meaning.notice, message_of(error))
    if meaning.trips and meaning.notice is not None:
        circuit_breaker.trip(meaning.notice)
    elif isinstance(error, convex.ConvexThrottled | convex.ConvexUnavailable):
        circuit_breaker.record_failure()


def record_no_room(held: lease.HeldRows, report: PushReport, error: convex.ConvexError) -> None:
    """Convex's own cap refused the row. A sandbox that is still being created is undone by its operation;
    one that exists stays, and is tried again."""
    record_failure(held, [report], error)
    create = Operation.objects.active().filter(sandbox=report.sandbox, action=Action.CREATE).first()
    if create is None:
        return
    unpushed = ConvexProjection.objects.filter(pk=report.row.pk, lease_token="", pushed_generation=0)
    if unpushed.update(refusal=Code.SANDBOX_LIMIT_REACHED) == 1:
        Operation.objects.active().filter(pk=create.pk).update(due_at=clock.present())
        wake()


def raise_generation(held: lease.HeldRows, report: PushReport, stored: int) -> None:
    """Convex has a generation as new as ours that says something else: a database restored from a backup, or a
    row that was changed over there. Ours goes on above it."""
    known = {key: report.sent[key] for key in ("name", "error", "again") if key in report.sent}
    with transaction.atomic():
        mine = ConvexProjection.objects.filter(pk=report.row.pk).held(held.token)
        if not mine.make_due(
            above=stored, known=True, sent={"row": True, **known}, lease_token="", lease_until=None
        ):
            return
        message = f"Convex: had generation {stored} with other values; going on above it"
        data = {"stored": stored, "ours": report.row.wanted_generation}
        sandbox_store.event(report.sandbox, EventKind.CONVEX, message, data=data)
        wake()


def foreign(row: Sandbox, owner: str = "") -> ForeignOwner:
    other = f"{owner!r}" if owner else "another owner"
    return ForeignOwner(
        f"Convex's row of {row.daytona_id} belongs to {other}, not to {row.owner_id!r}. Correct it in Convex."
    )


def report_of(held: lease.HeldRows, row: ConvexProjection) -> PushReport:
    is_resend = row.resend_at is not None and row.resend_at <= held.now
    return PushReport(
        row, dict(row.sent), row.known, row.resend_at, is_resend, removed=row.removed, links=row.link_due
    )
