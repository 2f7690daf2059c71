"""A push by our own functions in Convex: up to 100 rows in one call, each with its generation.

Convex writes only what is newer, so a late or repeated call can never win and nothing has to be asked first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxes.core.shown import as_known, wanted
from sandboxes.providers.convex.gateway import MAX_CHANGES, Applied, ConvexError, ConvexGateway, ConvexRejected
from sandboxes.services.projection import lease, push_result
from sandboxes.services.projection.values import change_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sandboxes.services.projection.push_result import PushReport

NOT_LINKED = "not linked: it is not its owner's, or it is linked to another sandbox already"


def push(convex: ConvexGateway, ids: Sequence[UUID], token: str) -> int:
    """Bring Convex's rows in line; returns how many sandboxes had something to push."""
    found = 0
    for start in range(0, len(ids), MAX_CHANGES):
        held = lease.claim(ids[start : start + MAX_CHANGES], token)
        found += len(held.rows)
        try:
            _send(convex, held, [push_result.report_of(held, row) for row in held.rows])
        except lease.Lost:
            continue
    return found


def _send(convex: ConvexGateway, held: lease.HeldRows, reports: list[PushReport]) -> None:
    if not reports:
        return
    lease.renew(held)
    try:
        answers = convex.apply([change_of(report.row) for report in reports])
    except ConvexRejected as error:
        if len(reports) == 1:
            push_result.record_failure(held, reports, error)
            return
        # All or nothing: one row that Convex does not take shall not hold up the others.
        middle = len(reports) // 2
        _send(convex, held, reports[:middle])
        _send(convex, held, reports[middle:])
    except ConvexError as error:
        push_result.record_failure(held, reports, error)
    else:
        _settle(held, reports, answers)


def _settle(held: lease.HeldRows, reports: list[PushReport], answers: list[Applied]) -> None:
    applied = []
    for report, answer in zip(reports, answers, strict=True):
        if answer.outcome == "applied":
            applied.append(_as_sent(report, answer))
        elif answer.outcome == "foreign_owner":
            push_result.record_failure(held, [report], push_result.foreign(report.sandbox))
        elif answer.outcome == "removed":
            report.leave_removed()
            applied.append(report)
        else:
            push_result.raise_generation(held, report, stored=answer.revision)
    push_result.record_pushed(held, applied)


def _as_sent(report: PushReport, answer: Applied) -> PushReport:
    shown = wanted(report.row)
    report.known = shown is not None
    report.sent = {} if shown is None else as_known(shown, report.sent)
    report.did.append("row removed" if shown is None else f"shows {shown.status}")
    if answer.harness_linked is not None:
        report.did.append(
            f"harness {report.sandbox.harness_id} {'linked' if answer.harness_linked else NOT_LINKED}"
        )
    report.links = report.removed = False
    if report.is_resend:
        report.resend_at = None
    return report
