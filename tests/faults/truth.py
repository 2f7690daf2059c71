"""Whether three systems agree: our rows, Daytona as the emulator holds it, Convex as the emulator holds it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models import Q

from sandboxes.core.shown import wanted
from sandboxes.core.states import ERROR_STATES, STATES
from sandboxes.core.vocabulary import ACTIVE, Action, Intent, OperationStatus, Source, Status
from sandboxes.models import Operation, Sandbox
from tests.faults.wishes import is_left_alone, unmet

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from tests.support.emulator import Emulator

PAUSE = threading.Event()  # never set: a pause between two looks


def disagreements(emulator: Emulator) -> list[str]:
    """What does not fit, in words; nothing when all is settled and Django = Daytona = Convex."""
    remote = {row["id"]: row for row in emulator.state(limit="100000")["sandboxes"] if not _is_hidden(row)}
    shown: dict[str, list[dict[str, Any]]] = {}
    for line in emulator.state("convex")["sandboxes"]:
        shown.setdefault(line["daytonaSandboxId"], []).append(line)
    problems = [f"{op.action} of {op.sandbox_id} is still active: {op.step}" for op in active()]
    rows = list(Sandbox.objects.all())
    for row in rows:
        problems += [f"{row.name} {row.pk}: {words}" for words in _of_row(row, remote.get(row.daytona_id or ""))]
        if settings.CONVEX_URL:
            problems += [f"{row.name} {row.pk}: {words}" for words in _of_convex(row, shown)]
    owned = {row.daytona_id for row in rows if row.intent != Intent.DELETED}
    problems += [
        f"nobody owns {row['name']} ({row['state']}) in Daytona" for key, row in remote.items() if key not in owned
    ]
    known = {row.daytona_id for row in rows}
    problems += [f"nobody owns the row of {key} in Convex" for key in shown if key not in known]
    return problems


def agree(emulator: Emulator, *, within: float, wishes: Callable[[UUID], set[str]]) -> float:
    """Wait until all three agree and what people wish is met or answered; returns the seconds that took.

    Raises AssertionError with what does not fit.
    """
    began = time.monotonic()
    while problems := disagreements(emulator) + unmet_wishes(wishes):
        if time.monotonic() - began > within:
            raise AssertionError("\n".join([f"after {within:g} s:", *problems, *waiting()]))
        PAUSE.wait(0.5)
    return time.monotonic() - began


def unmet_wishes(wishes: Callable[[UUID], set[str]]) -> list[str]:
    return [words for row in Sandbox.objects.all() if (words := unmet(row, wishes(row.pk)))]


def active() -> list[Operation]:
    return list(Operation.objects.filter(status__in=ACTIVE))


def waiting() -> list[str]:
    """What is going to be looked at, told or pushed.

    A wish whose operation failed is answered, and so is that of a victim, which comes back when it is next needed;
    they are watched for good, and that is not waited for.
    """
    lacking = Q(projection__error__startswith="Function missing")  # a name that Convex cannot be told stays due
    due = Q(fetch_due_at__isnull=False) | (Q(projection__due_at__isnull=False) & ~lacking)
    return [
        f"{row.name} {row.pk}: to be looked at {row.fetch_due_at}, told {row.pending_changes}, pushed "
        f"{row.projection.due_at} after {row.projection.error!r}"
        for row in Sandbox.objects.select_related("projection").filter(due)
        if not _is_answered(row)
    ]


def _is_answered(row: Sandbox) -> bool:
    latest = row.operations.exclude(action=Action.SYNC).order_by("-created_at").first()
    if latest is None:
        return False
    failed = latest.status == OperationStatus.FAILED or latest.source == Source.EVICTION or is_left_alone(row)
    doubts = row.calls.in_doubt().exists() or row.missing_since or row.pending_changes or row.projection.due_at
    return failed and row.intent_met_at is None and not doubts


def is_quiet() -> bool:
    """Nothing active and nothing waiting: nothing happens any more."""
    return not active() and not waiting()


def _is_hidden(remote: dict[str, Any]) -> bool:
    """An errored sandbox that was deleted keeps its row and answers 404 (recording 08_errored)."""
    return remote["desired"] == "destroyed" and remote["state"] in ERROR_STATES


def _of_row(row: Sandbox, remote: dict[str, Any] | None) -> list[str]:
    if remote is None:
        return [] if row.status == Status.GONE else [f"{row.status} here, not there in Daytona"]
    problems = []
    if STATES[remote["state"]].status != row.status:
        problems.append(f"{row.status} here, {remote['state']} in Daytona")
    if row.pending_changes:
        problems.append(f"Daytona was not told of {row.pending_changes}")
    if remote["labels"].get("harness_name") != row.name:
        problems.append(f"named {row.name} here, {remote['labels'].get('harness_name')} in Daytona")
    return problems


def _of_convex(row: Sandbox, shown: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines = shown.get(row.daytona_id or "", [])
    want = wanted(row.projection)
    if want is None:
        return [f"{row.status} here, {line['status']} in Convex" for line in lines]
    if len(lines) != 1:
        return [f"{len(lines)} rows in Convex, {row.projection.error!r}"]
    (line,) = lines
    problems = []
    if (line["status"], line["userId"]) != (want.status, row.owner_id):
        problems.append(f"{want.status} of {row.owner_id} here, {line['status']} of {line['userId']} in Convex")
    return problems
