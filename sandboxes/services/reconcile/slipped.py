"""The local steps: what is due, rows that slipped, notices. No remote call: they go on while Daytona is down."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q, QuerySet

from sandboxes.core.actions import MOVING
from sandboxes.core.codes import NoticeCode
from sandboxes.core.states import STATES
from sandboxes.core.vocabulary import Intent
from sandboxes.models import DaytonaCall, Operation, Sandbox
from sandboxes.services import heartbeat, notices
from sandboxes.services.reconcile.result import FindingKind, SweepFinding
from sandboxes.services.reconcile.run import Run, update_free

MOST_STUCK = 100
UNSEEN_FOR_LONG = timedelta(minutes=15)  # whatever is refused is asked for more often
NAMED = 3  # sandboxes that a notice names


def steps(run: Run) -> None:
    """Make due what slipped, and say what stands still."""
    make_due(run)
    stuck = Sandbox.objects.stuck(run.started).order_by("status_changed_at", "pk")
    theirs = stuck.filter(owner_id=run.options.owner) if run.options.owner else stuck
    run.report.add(*[_stuck(sandbox) for sandbox in theirs[:MOST_STUCK]])
    if run.options.dry_run:
        return
    deletes = Q(intent=Intent.DELETED)
    _tell(NoticeCode.DELETE_STUCK, "Daytona has not finished deleting", stuck.filter(deletes))
    _tell(NoticeCode.SANDBOX_STUCK, "Daytona neither finishes nor fails with", stuck.exclude(deletes))
    heartbeat.review()
    if not Sandbox.objects.filter(_says_an_unknown_word()).exists():
        notices.close(NoticeCode.UNKNOWN_STATE)
    notices.close(NoticeCode.UNKNOWN_ANSWER, not_seen_since=run.started - UNSEEN_FOR_LONG)


def make_due(run: Run) -> None:
    """A lost write may not leave a row that nobody looks at. In a dry run they are only counted."""
    for name, (rows, column) in slipped().items():
        count = rows.count() if run.options.dry_run else update_free(rows, **{column: run.started})
        if count:
            run.report.count(f"slipped_{name}", count)


def slipped() -> dict[str, tuple[QuerySet[Sandbox] | QuerySet[Operation], str]]:
    """The rows that nobody would look at again, by kind, each with the column that makes them due."""
    idle = Sandbox.objects.idle().filter(fetch_due_at=None)
    living = idle.filter(deleted_at=None)
    may_change = Q(deleted_at=None) | Q(pk__in=DaytonaCall.objects.in_doubt().values("sandbox"))
    return {
        "operations": (Operation.objects.active().filter(due_at=None), "due_at"),
        "intents": (idle.filter(may_change, intent_met_at=None), "fetch_due_at"),
        "changes": (living.exclude(pending_changes={}), "fetch_due_at"),
        "doubts": (living.filter(missing_since__isnull=False), "fetch_due_at"),
        "moving": (living.filter(status__in=MOVING), "fetch_due_at"),
    }


def _stuck(row: Sandbox) -> SweepFinding:
    if row.intent == Intent.DELETED:
        text = f"it has been wanted deleted since {row.intent_at:%Y-%m-%d %H:%M} UTC"
    else:
        text = f"it has been {row.status} since {row.status_changed_at:%Y-%m-%d %H:%M} UTC"
    return SweepFinding(
        kind=FindingKind.STUCK, text=text, sandbox_id=row.pk, daytona_id=row.daytona_id or "",
        name=row.display_name, owner=row.owner_id,
    )  # fmt: skip


def _tell(code: NoticeCode, words: str, stuck: QuerySet[Sandbox]) -> None:
    named = list(stuck[: NAMED + 1])
    if not named:
        notices.close(code)
        return
    names = ", ".join(str(one.daytona_id or one.pk) for one in named[:NAMED])
    more = " and more" if len(named) > NAMED else ""
    notices.tell(code, f"{words} {names}{more}.")


def _says_an_unknown_word() -> Q:
    return Q(deleted_at=None, observed_at__isnull=False) & ~Q(observed_state__in=[*STATES, ""])
