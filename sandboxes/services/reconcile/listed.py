"""One page of the list: mark our rows as listed, find those that differ, sort out what has no row."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q

from sandboxes.core.vocabulary import Intent
from sandboxes.gateways.daytona import DaytonaGateway, Page, RemoteSandbox
from sandboxes.models import Sandbox
from sandboxes.services.reconcile.adopt import adopt, delete_leftover, finding
from sandboxes.services.reconcile.compare import FIELDS, Known, differs, is_ending, is_of, label_id
from sandboxes.services.reconcile.examine import setting_of
from sandboxes.services.reconcile.listings import LABEL, Listings
from sandboxes.services.reconcile.result import FindingKind
from sandboxes.services.reconcile.run import Run, update_free


def compare(run: Run, daytona: DaytonaGateway, listings: Listings, page: Page) -> list[UUID]:
    """One query for the rows of the page and one update. Returns the rows that have to be looked at."""
    items = {item.id: item for item in page.items}
    known = _known(Q(daytona_id__in=list(items)))
    if not run.options.dry_run:
        update_free(Sandbox.objects.filter(pk__in=[row.pk for row in known]), listed_at=run.started)
    look_at = [row.pk for row in known if not row.busy and differs(row, items[row.daytona_id or ""])]
    at_rest = (row for row in known if not row.busy and row.pk not in look_at)
    run.report.add(*filter(None, (setting_of(run, row) for row in at_rest)))
    ours = {row.daytona_id for row in known}
    strangers = [item for key, item in items.items() if key not in ours]
    living = [item for item in strangers if not is_ending(item)]
    run.report.count("ending", len(strangers) - len(living))
    return look_at + _sort_out(run, daytona, listings, living)


def _known(which: Q) -> list[Known]:
    rows = Sandbox.objects.filter(which).with_busy()
    return [Known(**values) for values in rows.values(*FIELDS, "busy")]


def _sort_out(run: Run, daytona: DaytonaGateway, listings: Listings, strangers: list[RemoteSandbox]) -> list[UUID]:
    """Sandboxes that no row names by id. Returns the rows that one of them was made for, to be looked at."""
    if not strangers:
        return []
    marks = Q(pk__in=[mark for item in strangers if (mark := label_id(item))])
    claimants = _known(marks | Q(daytona_name__in=[item.name for item in strangers if item.name]))
    made_for: list[UUID] = []
    unclaimed: list[RemoteSandbox] = []
    for item in strangers:
        row = next((one for one in claimants if is_of(one, item)), None)
        if row is not None and row.daytona_id is None:
            made_for.append(row.pk)  # a create whose answer was lost
        elif row is not None and row.deleted_at is not None and row.intent == Intent.DELETED:
            delete_leftover(run, daytona, item, row)
        else:
            unclaimed.append(item)
    _orphans(run, daytona, listings, unclaimed)
    return made_for


def _orphans(run: Run, daytona: DaytonaGateway, listings: Listings, unclaimed: list[RemoteSandbox]) -> None:
    """Those that have an owner are adopted or reported; the others are somebody else's."""
    if run.options.adopt:
        found = listings.of(unclaimed)
        adopt(run, daytona, [item for item in unclaimed if item.id in found], listings=found)
        run.report.count("foreign", len(unclaimed) - len(found))
        return
    for item in unclaimed:
        if owner := item.labels.get(LABEL, ""):
            run.report.add(
                finding(FindingKind.ORPHAN, item, f"{item.state} in Daytona, and no row here", owner=owner)
            )
        else:
            run.report.count("foreign")
