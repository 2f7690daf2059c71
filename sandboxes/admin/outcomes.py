"""How a bulk action went: kept in the session, shown live until every operation has ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID, uuid4

from django.http import Http404, HttpRequest, HttpResponse

from sandboxes.admin import selectors
from sandboxes.admin.remedies import remedy
from sandboxes.admin.verbs import VERBS, Verb, Wish, obstacle
from sandboxes.core import intents
from sandboxes.core.vocabulary import OperationStatus
from sandboxes.models import Operation, Sandbox

KEY = "bulk_outcomes"
KEPT = 10


@dataclass(frozen=True, slots=True)
class ActionResult:
    """One sandbox: `result` is requested, skipped or failed; what became of a request its operation says."""

    sandbox: str
    name: str
    result: str
    message: str
    code: str = ""
    operation: str = ""


@dataclass(slots=True)
class BulkOutcome:
    verb: str
    reason: str
    force: bool
    hours: int
    query: str = ""
    rows: list[ActionResult] = field(default_factory=list)

    @classmethod
    def of(cls, verb: Verb, wish: Wish, *, query: str = "") -> BulkOutcome:
        return cls(verb.name, wish.reason, wish.force, wish.hours, query)


@dataclass(frozen=True, slots=True)
class OutcomeLine:
    """A row of the page: the stored result with the sandbox and the operation as they are now."""

    row: ActionResult
    sandbox: Sandbox | None
    operation: Operation | None
    obstacle: str = ""

    @property
    def is_pursued(self) -> bool:
        """It failed, and Sandkeeper goes on by itself with what it was for."""
        return (
            self.sandbox is not None
            and intents.has_failed(self.sandbox, self.operation)
            and (intents.is_pursued(self.sandbox) or selectors.active_of(self.sandbox) is not None)
        )

    @property
    def is_done_later(self) -> bool:
        """It failed, and what it was for came true all the same."""
        if self.sandbox is None or self.operation is None or self.operation.finished_at is None:
            return False
        met = self.sandbox.intent_met_at
        has_failed = intents.has_failed(self.sandbox, self.operation)
        return has_failed and met is not None and met >= self.operation.finished_at

    @property
    def is_moving(self) -> bool:
        if self.operation is None or self.sandbox is None:
            return False
        active = selectors.active_of(self.sandbox)
        return self.is_pursued or self.operation.is_active or selectors.is_moving(self.sandbox, active)

    @property
    def has_failed(self) -> bool:
        """For good."""
        if self.operation is None:
            return self.row.result == "failed"
        return self.operation.status == OperationStatus.FAILED and not (self.is_pursued or self.is_done_later)

    @property
    def may_be_retried(self) -> bool:
        return self.has_failed and not self.obstacle

    @property
    def remedy(self) -> str:
        code = self.operation.code if self.operation is not None else ""
        return remedy(code) if code else ""


def remember(request: HttpRequest, outcome: BulkOutcome) -> UUID:
    """Keep it in the session, which holds the last ten."""
    outcome_id = uuid4()
    kept: dict[str, Any] = request.session.get(KEY, {})
    kept[str(outcome_id)] = asdict(outcome)
    request.session[KEY] = dict(list(kept.items())[-KEPT:])
    return outcome_id


def recall(request: HttpRequest, outcome_id: UUID) -> BulkOutcome:
    stored = request.session.get(KEY, {}).get(str(outcome_id))
    if stored is None:
        raise Http404("This outcome is of another session, or of long ago. The sandboxes' pages have it all.")
    return BulkOutcome(**{**stored, "rows": [ActionResult(**row) for row in stored["rows"]]})


def show(model_admin: Any, request: HttpRequest, outcome_id: UUID) -> HttpResponse:
    outcome = recall(request, outcome_id)
    lines = _lines(outcome)
    verb = VERBS[outcome.verb]
    return model_admin.page(
        request,
        "sandboxes/outcome.html",
        title=f"{verb.label}: {len(lines)} sandboxes",
        outcome=outcome,
        verb=verb,
        lines=lines,
        moving=sum(line.is_moving for line in lines),
        skipped=sum(line.row.result == "skipped" for line in lines),
        failed=sum(line.has_failed for line in lines),
        again=[line for line in lines if line.may_be_retried],
        list_address=selectors.list_address(outcome.query),
        may_retry=request.user.has_perm(verb.permission),
    )


def _lines(outcome: BulkOutcome) -> list[OutcomeLine]:
    rows = selectors.with_latest_operation(Sandbox.objects.all())
    sandboxes = rows.in_bulk([UUID(row.sandbox) for row in outcome.rows])
    operations = Operation.objects.in_bulk([UUID(row.operation) for row in outcome.rows if row.operation])
    lines = []
    for row in outcome.rows:
        sandbox = sandboxes.get(UUID(row.sandbox))
        operation = operations.get(UUID(row.operation)) if row.operation else None
        lines.append(OutcomeLine(row, sandbox, operation, _in_the_way(VERBS[outcome.verb], sandbox)))
    return lines


def _in_the_way(verb: Verb, sandbox: Sandbox | None) -> str:
    if sandbox is None:
        return "There is no such sandbox."
    return obstacle(verb, sandbox, active=selectors.active_of(sandbox))
