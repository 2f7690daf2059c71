"""Looking at sandboxes one by one: a GET each, recorded as any worker would; in a dry run only said."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from sandboxes.core import asked
from sandboxes.core.codes import Refused
from sandboxes.core.observation import with_observation
from sandboxes.core.vocabulary import Actor
from sandboxes.models import Sandbox
from sandboxes.providers.daytona.gateway import DaytonaError
from sandboxes.services import lifecycle
from sandboxes.services.decisions import SANDBOX_FIELDS, sandbox_facts
from sandboxes.services.fetching import fetch_now
from sandboxes.services.reconcile.pages import message_of
from sandboxes.services.reconcile.result import FindingKind, SweepFinding

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sandboxes.core.facts import Fetched
    from sandboxes.providers.protocols import SandboxProvider
    from sandboxes.services.reconcile.compare import Known
    from sandboxes.services.reconcile.run import Run

log = structlog.get_logger(__name__)
SWEEPER = Actor.system("sweep")
NOT_ALL = "some sandboxes could not be looked at"
UNANSWERED_MOST = 10  # looks in one sweep that may fail before it gives Daytona up


@dataclass(frozen=True, slots=True)
class StoredState:
    """What a row says of Daytona's sandbox."""

    state: str
    desired: str
    auto_delete: int | None
    labels: tuple[tuple[str, str], ...]
    gone: datetime | None
    missing: datetime | None

    @classmethod
    def of(cls, row: Sandbox) -> StoredState:
        labels = tuple(sorted(row.labels.items()))
        return cls(
            row.observed_state, row.desired_state, row.observed_auto_delete, labels, row.deleted_at,
            row.missing_since,
        )  # fmt: skip


def examine(run: Run, daytona: SandboxProvider, ids: list[UUID]) -> None:
    """GET each of these sandboxes and report what was otherwise than stored. With Daytona down it gives up soon."""

    def one(sandbox_id: UUID) -> None:
        if run.report.counts[FindingKind.UNANSWERED] >= UNANSWERED_MOST:
            return
        try:
            found = _dry(run, daytona, sandbox_id) if run.options.dry_run else _observe(run, sandbox_id)
        except DaytonaError as error:
            found = [_unanswered(run, sandbox_id, message_of(error))]
        except Exception as error:  # one bad row spoils no other
            log.exception("look_failed", sandbox_id=str(sandbox_id))
            found = [_unanswered(run, sandbox_id, f"it could not be recorded: {type(error).__name__}")]
        run.report.add(*filter(None, found))

    run.report.count("looked_at", len(ids))
    run.side_by_side(one, ids)


def setting_of(run: Run, row: Sandbox | Known) -> SweepFinding | None:
    """What Daytona holds otherwise than it was asked for, with no change on its way. Our labels are put back: once
    in a sweep, so that nobody who takes them away keeps us busy."""
    found = asked.drift(row)
    if not found:
        return None
    if asked.lost_labels(row) and not run.options.dry_run:
        with suppress(Refused):  # pruned meanwhile
            lifecycle.put_labels_back(row.pk, actor=SWEEPER)
    return SweepFinding(
        kind=FindingKind.SETTING, text="; ".join(map(str, found)), sandbox_id=row.pk,
        daytona_id=row.daytona_id or "", name=row.display_name, owner=row.owner_id,
    )  # fmt: skip


def _observe(run: Run, sandbox_id: UUID) -> list[SweepFinding | None]:
    before = Sandbox.objects.filter(pk=sandbox_id).first()
    if before is None or not lifecycle.observe(sandbox_id, raises=True):
        return []  # pruned meanwhile, or somebody else looks at it right now
    after = Sandbox.objects.get(pk=sandbox_id)
    return [finding_of(after, StoredState.of(before), StoredState.of(after)), setting_of(run, after)]


def _dry(run: Run, daytona: SandboxProvider, sandbox_id: UUID) -> list[SweepFinding | None]:
    row = Sandbox.objects.filter(pk=sandbox_id).first()
    if row is None:
        return []
    before = StoredState.of(row)
    _would_store(row, fetch_now(daytona, row))
    return [finding_of(row, before, StoredState.of(row)), setting_of(run, row)]


def _would_store(row: Sandbox, seen: Fetched) -> None:
    """As a look would record it; nothing is saved."""
    if seen.remote is None:
        row.deleted_at = row.deleted_at or (seen.started if seen.confirmed else None)
        row.missing_since = seen.started
        return
    stored = with_observation(sandbox_facts(row), seen.remote, started=seen.started)
    for name in SANDBOX_FIELDS:
        setattr(row, name, getattr(stored, name))
    row.observed_at, row.missing_since = seen.started, None
    row.deleted_at = seen.started if seen.remote.state == "destroyed" else None


def finding_of(row: Sandbox, before: StoredState, after: StoredState) -> SweepFinding | None:
    """What a look changed, in words; None when all was as stored and the list had lied."""
    kind, text = _change(before, after)
    if kind is None:
        return None
    return SweepFinding(
        kind=kind,
        text=text,
        sandbox_id=row.pk,
        daytona_id=row.daytona_id or "",
        name=row.display_name,
        owner=row.owner_id,
    )


def _change(before: StoredState, after: StoredState) -> tuple[FindingKind | None, str]:
    if after.gone is not None:
        return (None, "") if before.gone is not None else (FindingKind.GONE, "no longer exists in Daytona")
    if before.gone is not None:
        return FindingKind.REVIVED, f"was believed gone and is {after.state}"
    if after.missing is not None:
        return FindingKind.MISSING, "Daytona does not find it; not believed yet"
    if before.state != after.state:
        return FindingKind.DRIFT, f"{before.state or 'never observed'} → {after.state}"
    if before != after:
        what = [
            name for name in ("desired", "auto_delete", "labels") if getattr(before, name) != getattr(after, name)
        ]
        return (FindingKind.DRIFT, f"{' and '.join(what).replace('_', '-')} changed") if what else (None, "")
    return None, ""


def _unanswered(run: Run, sandbox_id: UUID, text: str) -> SweepFinding:
    run.partial(NOT_ALL)
    return SweepFinding(kind=FindingKind.UNANSWERED, text=text, sandbox_id=sandbox_id)
