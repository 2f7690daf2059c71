"""The first row of a sandbox in Convex, by the application's function, and the harness that it may be linked to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxes.providers.convex.gateway import ConvexApplicationError, ConvexGateway, ConvexRejected
from sandboxes.services.projection import application_rows
from sandboxes.services.projection.values import row_of

if TYPE_CHECKING:
    from sandboxes.core.shown import Push
    from sandboxes.services.projection.push_result import PushReport


def create_row(convex: ConvexGateway, report: PushReport, push: Push) -> None:
    """Insert the row; with its harness where that may be linked.

    A function that failed without a reason did nothing, and its reason is hidden in production: it is called once
    more as it was before the harness is suspected. The row is worth more than its link.
    """
    harness = _harness(convex, report)
    for harness_id in (harness, harness, "") if harness else ("",):
        try:
            convex.create_row(
                report.sandbox.daytona_id or "",
                owner=report.sandbox.owner_id,
                row=row_of(report.sandbox, push, harness=harness_id),
            )
            break
        except ConvexApplicationError:
            raise
        except ConvexRejected:
            if not harness_id:
                raise
    if harness:
        said = "linked" if harness_id else "not linked: Convex refused the row with it, twice"
        report.did.append(f"harness {harness} {said}")
    report.links = False


def _harness(convex: ConvexGateway, report: PushReport) -> str:
    """The harness to link, "" for none. The function links whatever it is given: whose it is, is asked here."""
    row = report.sandbox
    if not report.row.link_due:
        return ""
    why_not = _why_not(convex, row.owner_id, row.harness_id)
    if why_not:
        report.did.append(f"harness {row.harness_id} not linked: {why_not}")
    return "" if why_not else row.harness_id


def _why_not(convex: ConvexGateway, owner_id: str, harness_id: str) -> str:
    try:
        is_owners = convex.is_harness_of(owner_id, harness_id)
    except application_rows.CANNOT_BE_READ:
        is_owners = None
    if is_owners is None:
        return "whose it is cannot be asked"
    if not is_owners:
        return f"{owner_id} has no such harness"
    rows = application_rows.rows_of(convex, owner_id)
    if rows is None:
        return "whether it is linked already cannot be asked"
    row_id, daytona_id = convex.link_of(owner_id, harness_id)
    linked = [item.daytona_id for item in rows if row_id == item.row_id or daytona_id == item.daytona_id]
    return f"it is linked to {linked[0]} already" if linked else ""
