"""Our rows beside a page of the list: mark them as listed, find those that differ, sort out what has no row.

A row of the list is a hint: what differs is to be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from django.db.models import Q

from sandboxes.core.asked import OWNER_LABEL
from sandboxes.core.derived import Derived
from sandboxes.core.vocabulary import Intent, OrphanDecision
from sandboxes.models import Sandbox
from sandboxes.services import orphans
from sandboxes.services.reconcile.adopt import adopt, delete_leftover, finding
from sandboxes.services.reconcile.examine import setting_of
from sandboxes.services.reconcile.result import FindingKind
from sandboxes.services.reconcile.run import Run, update_free

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from uuid import UUID

    from sandboxes.providers.daytona.gateway import RemoteSandbox
    from sandboxes.providers.protocols import Page, SandboxProvider
    from sandboxes.services.reconcile.listings import Listings


# The list has the raw state, a GET shows what is about to happen (recording 04_lifecycle).
SHOWN_BY_GET: dict[tuple[str, str], str] = {
    ("started", "stopped"): "stopping",
    ("started", "destroyed"): "destroying",
    ("stopped", "started"): "starting",
    ("stopped", "destroyed"): "destroying",
    ("stopped", "archived"): "archiving",
    ("unknown", "started"): "creating",
}
GRANTED = ("target", "snapshot", "cpu", "memory_gb", "disk_gb")  # kept where the answer lacks them


@dataclass(frozen=True, slots=True)
class Known(Derived):
    """Our row, as far as a page of the list is compared with it. `busy`: an operation is active."""

    pk: UUID
    daytona_id: str | None
    daytona_name: str
    name: str
    owner_id: str
    observed_state: str
    desired_state: str
    recoverable: bool
    observed_auto_delete: int | None
    labels: Mapping[str, str]
    user_labels: Mapping[str, str]
    observed_at: datetime | None
    missing_since: datetime | None
    deleted_at: datetime | None
    intent: str
    busy: bool
    resource_tier: str
    harness_id: str
    language: str
    target: str
    snapshot: str
    cpu: int
    memory_gb: int
    disk_gb: int
    created_with: Mapping[str, Any]
    pending_changes: Mapping[str, Any]
    auto_stop_minutes: int | None
    auto_archive_minutes: int | None
    auto_delete_minutes: int | None
    observed_auto_stop: int | None
    observed_auto_archive: int | None


FIELDS = tuple(field.name for field in fields(Known) if field.name != "busy")


def differs(row: Known, item: RemoteSandbox) -> bool:
    """Whether the list says otherwise than our observation, so that somebody has to look."""
    if row.deleted_at is not None:
        return not item.is_ending
    if row.observed_at is None or row.missing_since is not None:
        return True
    state = SHOWN_BY_GET.get((item.state, item.desired_state), item.state)
    listed = (
        state, item.desired_state, item.recoverable, item.labels, item.auto_stop_interval,
        item.auto_archive_interval, item.auto_delete_interval,
    )  # fmt: skip
    stored = (
        row.observed_state, row.desired_state, row.recoverable, row.labels, row.observed_auto_stop,
        row.observed_auto_archive, row.observed_auto_delete,
    )  # fmt: skip
    granted = ((getattr(item, name), getattr(row, name)) for name in GRANTED)
    return listed != stored or any(given and given != kept for given, kept in granted)


def compare(run: Run, daytona: SandboxProvider, listings: Listings, page: Page) -> list[UUID]:
    """One query for the rows of the page and one update. Returns the rows that have to be looked at."""
    items = {item.id: item for item in page.items}
    known = _known(Q(daytona_id__in=list(items)))
    if not run.options.dry_run:
        update_free(Sandbox.objects.filter(pk__in=[row.pk for row in known]), listed_at=run.started)
    strangers = items.keys() - {row.daytona_id for row in known}
    look_at = _to_look_at(run, [row for row in known if not row.busy], items)
    return look_at + _sort_out(run, daytona, listings, [item for item in page.items if item.id in strangers])


def _to_look_at(run: Run, idle: list[Known], items: Mapping[str, RemoteSandbox]) -> list[UUID]:
    """Those that differ; of the others, settings that are not as they were asked for are reported."""
    look_at: list[UUID] = []
    for row in idle:
        if differs(row, items[row.daytona_id or ""]):
            look_at.append(row.pk)
        elif setting := setting_of(run, row):
            run.report.add(setting)
    return look_at


def _known(which: Q) -> list[Known]:
    rows = Sandbox.objects.filter(which).with_busy()
    return [Known(**values) for values in rows.values(*FIELDS, "busy")]


def _sort_out(run: Run, daytona: SandboxProvider, listings: Listings, strangers: list[RemoteSandbox]) -> list[UUID]:
    """Sandboxes that no row names by id. Returns the rows that one of them was made for, to be looked at."""
    living = [item for item in strangers if not item.is_ending]
    run.report.count("ending", len(strangers) - len(living))
    made_for: list[UUID] = []
    unclaimed: list[RemoteSandbox] = []
    for item, row in _with_claimants(living):
        if row is not None and row.daytona_id is None:
            made_for.append(row.pk)  # a create whose answer was lost
        elif row is not None and row.deleted_at is not None and row.intent == Intent.DELETED:
            delete_leftover(run, daytona, item, row)
        else:
            unclaimed.append(item)
    if unclaimed:
        _orphans(run, daytona, listings, unclaimed)
    return made_for


def _with_claimants(strangers: list[RemoteSandbox]) -> Iterator[tuple[RemoteSandbox, Known | None]]:
    """Each with the row that it was made for, if there is one."""
    if not strangers:
        return
    marks = [mark for item in strangers if (mark := item.labelled_id)]
    names = [item.name for item in strangers if item.name]
    claimants = _known(Q(pk__in=marks) | Q(daytona_name__in=names))
    for item in strangers:
        yield item, next((one for one in claimants if item.was_made_for(one.pk, one.daytona_name)), None)


def _orphans(run: Run, daytona: SandboxProvider, listings: Listings, unclaimed: list[RemoteSandbox]) -> None:
    """Those that an import takes over, or that staff decided about, are settled; the others are reported."""
    if not run.options.dry_run:
        orphans.note(unclaimed, seen_at=run.started)
    decided = orphans.decided(unclaimed)
    chosen: list[RemoteSandbox] = []
    for item in unclaimed:
        decision = decided[item.id].decision if item.id in decided else None
        if decision == OrphanDecision.IGNORE:
            run.report.count("ignored")
        elif decision is not None or run.options.adopt:
            chosen.append(item)
        else:
            _report(run, item)
    if chosen:
        found = listings.of(chosen, named={pk: row.adopt_for for pk, row in decided.items()})
        adopt(run, daytona, [item for item in chosen if item.id in found], listings=found, decided=decided)
        run.report.count("foreign", len(chosen) - len(found))


def _report(run: Run, item: RemoteSandbox) -> None:
    if owner := item.labels.get(OWNER_LABEL, ""):
        text = f"{item.state} in Daytona, and no row here"
        run.report.add(finding(FindingKind.ORPHAN, item, text, owner=owner))
    else:
        run.report.count("foreign")
