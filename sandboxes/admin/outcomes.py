"""How a bulk action went: kept in the session, shown live until every operation has ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID, uuid4

from django.http import Http404, HttpRequest, HttpResponse

from sandboxes.admin import selectors
from sandboxes.admin.verbs import VERBS, Verb, Wish
from sandboxes.codes import MEANINGS, Code
from sandboxes.models import Operation, Sandbox
from sandboxes.states import OperationStatus

KEY = "outcomes"
KEPT = 10


@dataclass(frozen=True, slots=True)
class Row:
    """One sandbox: `result` is requested, skipped or failed; what became of a request its operation says."""

    sandbox: str
    name: str
    result: str
    words: str
    code: str = ""
    operation: str = ""


@dataclass(slots=True)
class Outcome:
    verb: str
    reason: str
    force: bool
    hours: int
    rows: list[Row] = field(default_factory=list)

    @classmethod
    def of(cls, verb: Verb, wish: Wish) -> Outcome:
        return cls(verb.name, wish.reason, wish.force, wish.hours)


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the page: the stored result with the sandbox and the operation as they are now."""

    row: Row
    sandbox: Sandbox | None
    operation: Operation | None

    @property
    def is_moving(self) -> bool:
        if self.operation is None or self.sandbox is None:
            return False
        return selectors.is_moving(self.sandbox, self.operation if self.operation.is_active else None)

    @property
    def has_failed(self) -> bool:
        if self.operation is not None:
            return self.operation.status == OperationStatus.FAILED
        return self.row.result == "failed"

    @property
    def cure(self) -> str:
        code = self.operation.code if self.operation is not None else ""
        return MEANINGS[Code(code)].cure if code else ""


def remember(request: HttpRequest, outcome: Outcome) -> UUID:
    """Keep it in the session, which holds the last ten."""
    outcome_id = uuid4()
    kept: dict[str, Any] = request.session.get(KEY, {})
    kept[str(outcome_id)] = asdict(outcome)
    request.session[KEY] = dict(list(kept.items())[-KEPT:])
    return outcome_id


def recall(request: HttpRequest, outcome_id: UUID) -> Outcome:
    stored = request.session.get(KEY, {}).get(str(outcome_id))
    if stored is None:
        raise Http404("This outcome is of another session, or of long ago. The sandboxes' pages have it all.")
    return Outcome(**{**stored, "rows": [Row(**row) for row in stored["rows"]]})


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
        failed=[line for line in lines if line.has_failed],
        may_retry=request.user.has_perm(verb.permission),
    )


def _lines(outcome: Outcome) -> list[Line]:
    sandboxes = Sandbox.objects.in_bulk([UUID(row.sandbox) for row in outcome.rows])
    operations = Operation.objects.in_bulk([UUID(row.operation) for row in outcome.rows if row.operation])
    return [
        Line(
            row,
            sandboxes.get(UUID(row.sandbox)),
            operations.get(UUID(row.operation)) if row.operation else None,
        )
        for row in outcome.rows
    ]
