"""Rows for sandboxes that Daytona has and we do not.

An import decides by what Convex lists (`listings`): what is listed is taken over as it is found, under the name
that Convex shows. What its user has taken off the list, or what Convex shows to somebody else, is left alone until
an operator decides. Nothing of Daytona changes by an adoption, and a second run finds nothing left to adopt.

A dry run does the same in a transaction that is rolled back, so what it shows is what the real run changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog
from django.conf import settings
from django.db import DataError, IntegrityError, transaction

from project.readable import UnreadableText, checked_owner_id
from sandboxes import clock
from sandboxes.core.asked import OWNER_LABEL
from sandboxes.core.facts import Fetched, NewOperation
from sandboxes.core.labels import taken_over
from sandboxes.core.observation import apply_observation, refresh_status
from sandboxes.core.shown import shown_of, to_push
from sandboxes.core.states import STATES
from sandboxes.core.vocabulary import Action, Actor, EventKind, Intent, OrphanDecision, Source, Status
from sandboxes.models import ConvexProjection, Owner, Sandbox
from sandboxes.providers import blocking
from sandboxes.providers.daytona.gateway import DaytonaError, NotFound, RemoteSandbox
from sandboxes.services import lifecycle, orphans, sandbox_store
from sandboxes.services.decisions import create_operation, drafting
from sandboxes.services.facts import facts_of
from sandboxes.services.projection.values import accessed_ms, row_of
from sandboxes.services.reconcile.changes import MOMENT, UNREADABLE, FieldChange, System, differences
from sandboxes.services.reconcile.examine import NOT_ALL, SWEEPER
from sandboxes.services.reconcile.listings import ListedState, Listing
from sandboxes.services.reconcile.pages import message_of
from sandboxes.services.reconcile.result import FindingKind, SweepFinding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandboxes.core.shown import Push
    from sandboxes.models import Orphan
    from sandboxes.providers.convex.gateway import ApplicationRow
    from sandboxes.providers.protocols import SandboxProvider
    from sandboxes.services.reconcile.compare import Known
    from sandboxes.services.reconcile.run import Run

log = structlog.get_logger(__name__)
ADOPTER = Actor.system("adopt")
BATCH = 50  # rows in one transaction
SETTLED = (FindingKind.ADOPTED, FindingKind.DELETED)
AS_FOUND = "Taken over as it was found"
UNLISTED = "Its user took it off the list in Convex, and an operator deleted what was left in Daytona"

INTENT_OF_DESIRED = {"started": Intent.RUNNING, "stopped": Intent.STOPPED, "archived": Intent.ARCHIVED}
INTENT_OF_STATUS = {Status.STOPPED: Intent.STOPPED, Status.ARCHIVED: Intent.ARCHIVED}
# What a new row says; `display_name` is what people read.
SHOWN = (
    "owner_id", "name", "status", "intent", "resource_tier", "language", "harness_id", "ephemeral", "snapshot",
    "target", "created_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """A sandbox without a row, as a GET that began at `started` showed it."""

    remote: RemoteSandbox
    started: datetime


def adopt(
    run: Run,
    daytona: SandboxProvider,
    unclaimed: list[RemoteSandbox],
    *,
    listings: Mapping[str, Listing],
    decided: Mapping[str, Orphan],
) -> None:
    """Decide on each that a GET still shows; the list alone proves nothing. By Daytona's id: its listing, and what
    staff decided."""
    found = [one for one in run.side_by_side(lambda item: look(run, daytona, item), unclaimed) if one is not None]
    for start in range(0, len(found), BATCH):
        with transaction.atomic():
            batch = found[start : start + BATCH]
            findings = [_decide(run, one, listings[one.remote.id], decided.get(one.remote.id)) for one in batch]
            has_row = {one.daytona_id for one in findings if one.kind in SETTLED}
            left = {one.daytona_id: one.text for one in findings if one.daytona_id in set(decided) - has_row}
            orphans.settled(has_row, left)
            if run.would_adopt is not None:
                transaction.set_rollback(True)
                run.would_adopt.add(one.daytona_id for one in findings if one.kind == FindingKind.ADOPTED)
        run.report.add(*findings)


def _decide(run: Run, found: Found, listing: Listing, decided: Orphan | None) -> SweepFinding:
    """What becomes of one, by what Convex says and what the operator, or staff, chose."""
    remote = found.remote
    if decided is not None:
        return _as_decided(found, listing, decided)
    if (obstacle := _obstacle(remote, listing)) is not None:
        return obstacle
    match listing.standing:
        case ListedState.UNLISTED if run.options.deletes(remote.id):
            return _written(found, listing, FindingKind.DELETED, deletes=True)
        case ListedState.UNLISTED if not (run.options.adopt_unlisted or _lost_row(run, remote)):
            return finding(FindingKind.UNLISTED, remote, _unlisted_text(remote), owner=listing.owner)
    return _written(found, listing, FindingKind.ADOPTED)


def _obstacle(remote: RemoteSandbox, listing: Listing) -> SweepFinding | None:
    """Why nobody can decide on it yet, whatever they want."""
    try:
        checked_owner_id(listing.owner)
    except UnreadableText as error:
        return finding(FindingKind.UNMATCHED, remote, f"nobody can be its owner: {error}")
    if listing.standing == ListedState.FOREIGN:
        labelled = remote.labels.get(OWNER_LABEL, "")
        text = f"its label says that it is {labelled!r}'s, Convex shows it to {listing.owner!r}: left alone"
        return finding(FindingKind.UNMATCHED, remote, text, owner=labelled)
    if listing.standing == ListedState.UNKNOWN:
        text = "Convex did not say whether it lists it"
        return finding(FindingKind.UNANSWERED, remote, text, owner=listing.owner)
    return None


def _as_decided(found: Found, listing: Listing, decided: Orphan) -> SweepFinding:
    """Adopt it, whether Convex lists it or not; and delete it then as any other, if that was decided."""
    if (obstacle := _obstacle(found.remote, listing)) is not None:
        return obstacle
    adopted = _written(found, listing, FindingKind.ADOPTED)
    if decided.decision == OrphanDecision.DELETE and adopted.sandbox_id is not None:
        actor = Actor.staff(decided.decided_by.removeprefix("staff:"))
        lifecycle.request(
            adopted.sandbox_id, Action.DELETE, actor=actor, source=Source.ADMIN, reason=decided.reason
        )
    return adopted


def _lost_row(run: Run, remote: RemoteSandbox) -> bool:
    """Made by us after the backup that was restored: Convex may not have heard of it before the row was lost."""
    return run.options.restored and remote.labelled_id is not None


def _unlisted_text(remote: RemoteSandbox) -> str:
    age = "" if remote.created_at is None else f", created {(clock.now() - remote.created_at).days} days ago"
    return f"{remote.state} in Daytona{age}; Convex does not list it: left alone"


def _written(found: Found, listing: Listing, kind: FindingKind, *, deletes: bool = False) -> SweepFinding:
    try:
        with transaction.atomic():
            row = (
                _delete(found, listing.owner, reason=UNLISTED, actor=ADOPTER)
                if deletes
                else _take_over(found, listing)
            )
    except (DataError, IntegrityError) as error:  # one bad row spoils no other
        log.warning("not_adopted", daytona_id=found.remote.id, error=str(error))
        return finding(FindingKind.UNMATCHED, found.remote, f"the database refuses it: {type(error).__name__}")
    changes = [*_new_row(row), *_remote_changes(row, listing, deletes=deletes)]
    text = f"{row.status}; {row.resource_tier}" if not deletes else "deleted in Daytona: Convex does not list it"
    return finding(kind, found.remote, text, row=row, changes=changes)


def _new_row(row: Sandbox) -> list[FieldChange]:
    after = {name: _plain(getattr(row, name)) for name in SHOWN}
    return differences(System.SANDKEEPER, {}, {name: value for name, value in after.items() if value != ""})


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _remote_changes(row: Sandbox, listing: Listing, *, deletes: bool) -> list[FieldChange]:
    if deletes:
        return [FieldChange(System.DAYTONA, "state", row.observed_state, "destroyed")]
    if listing.standing == ListedState.NO_CONVEX:
        return []
    return _pushed(row, listing)


def _pushed(row: Sandbox, listing: Listing) -> list[FieldChange]:
    """What the push that follows changes in Convex."""
    push = to_push(row.projection, row.projection.sent)
    if push is None:
        return []
    if listing.standing == ListedState.UNLISTED:
        return differences(System.CONVEX, {}, _created(row, push, listing))
    there = listing.row
    before: dict[str, Any] = {"status": UNREADABLE, "errorMessage": UNREADABLE, "name": UNREADABLE}
    if there is not None:
        before = {"status": there.status, "errorMessage": there.message or None, "name": there.name}
    after = {"status": push.status, "errorMessage": push.error, "name": push.name}
    sent = {name: value for name, value in after.items() if value is not None}
    if not sent:
        return []
    used = {"lastAccessedAt": there.last_used_ms if there else UNREADABLE}
    return differences(System.CONVEX, before | used, sent | _used(row, listing))


def _created(row: Sandbox, push: Push, listing: Listing) -> dict[str, Any]:
    """All that a new row says, by the function that makes it."""
    wanted = row_of(row, push)
    used = _used(row, listing)
    if listing.own:
        return {"userId": row.owner_id} | wanted.whole() | used
    said = {"errorMessage": wanted.error_message} if wanted.error_message else {}
    return {"userId": row.owner_id} | wanted.created() | said | {"createdAt": MOMENT} | used


def _used(row: Sandbox, listing: Listing) -> dict[str, Any]:
    """A call of the application's functions counts as use there; ours tell when it was used, if that is later."""
    if not listing.own:
        return {"lastAccessedAt": MOMENT}
    times = [accessed_ms(row), listing.row.last_used_ms if listing.row else None]
    known = [at for at in times if at is not None]
    return {"lastAccessedAt": max(known)} if known else {}


def look(run: Run, daytona: SandboxProvider, item: RemoteSandbox) -> Found | None:
    """GET what the list showed; None when it is ending, is somebody else's by now, or Daytona does not answer."""
    started = clock.now()
    try:
        remote = blocking.run(daytona.get(item.id))
    except NotFound:
        run.report.count("list_lied")
        return None
    except DaytonaError as error:
        run.partial(NOT_ALL)
        run.report.add(finding(FindingKind.UNANSWERED, item, message_of(error)))
        return None
    return None if remote.is_ending else Found(remote, started)


def delete_leftover(run: Run, daytona: SandboxProvider, item: RemoteSandbox, row: Known) -> None:
    """A create of ours that ran late, after its row was deleted: it gets a row of its own, which is deleted."""
    text = f"made for “{row.display_name}”, which is deleted here; it is deleted, too"
    if not run.options.dry_run:
        found = look(run, daytona, item)
        if found is None or not found.remote.was_made_for(row.pk, row.daytona_name):
            return
        with transaction.atomic():
            _delete(found, row.owner_id, reason=f"Made for {row.pk}, which is deleted", actor=SWEEPER)
    run.report.add(finding(FindingKind.LEFTOVER, item, text))


def _take_over(found: Found, listing: Listing) -> Sandbox:
    now = clock.now()
    row = _row(found.remote, owner=listing.owner, now=now)
    row.name = _name(found.remote, listing)
    row.intent, row.intent_actor_kind, row.intent_actor_id = _intent_of(found.remote), ADOPTER.kind, ADOPTER.id
    row.intent_reason, row.intent_at, row.intent_met_at = AS_FOUND, now, now
    _save(row, found, message=AS_FOUND, actor=ADOPTER, now=now)
    _project(row, listing, now=now)
    return row


def _project(row: Sandbox, listing: Listing, *, now: datetime) -> None:
    """Its projection: clean where Convex shows already what there is to show."""
    known = listing.standing == ListedState.LISTED
    made = ConvexProjection(
        sandbox=row, known=known, sent=_as_listed(row, listing.row) if known else {}, wanted_generation=1
    )
    if listing.row is not None and not _pushed(row, listing):
        made.pushed_generation = 1
    else:
        made.due_at = made.behind_since = now
    made.save(force_insert=True)


def _name(remote: RemoteSandbox, listing: Listing) -> str:
    """What a person called it. Convex has the name; the label, which the application seldom sets, is for those
    whose list has nothing to say of it."""
    if listing.row is not None:
        return (listing.row.name or "")[:200]
    if listing.standing == ListedState.LISTED:
        return ""  # Convex has a name that cannot be read here: a label may be older
    return remote.labels.get("harness_name", "")[:200]


def _as_listed(row: Sandbox, there: ApplicationRow | None) -> dict[str, Any]:
    """What Convex is known to have, as a push remembers it. A message that is not ours stays unmentioned; the name
    is as we keep it, so that a longer or otherwise written one there is left as it is.
    """
    if there is None:
        return {"row": True}
    shown = shown_of(row)
    ours = there.message if shown is not None and there.message == shown.error else ""
    return {"row": True, "status": there.status, "error": ours, "name": row.name}


def _delete(found: Found, owner: str, *, reason: str, actor: Actor) -> Sandbox:
    """A row whose delete is under way, and which Convex is never told of: its user does not expect it there."""
    now = clock.now()
    row = _row(found.remote, owner=owner, now=now)
    row.intent, row.intent_actor_kind, row.intent_actor_id = Intent.DELETED, actor.kind, actor.id
    row.intent_reason, row.intent_at = reason, now
    _save(row, found, message=reason, actor=actor, now=now)
    ConvexProjection.objects.create(sandbox=row, removed=True)
    with sandbox_store.telling(row, since=facts_of(row)):
        new = NewOperation(action=Action.DELETE, actor=actor, source=Source.SWEEP, reason=reason)
        create_operation(row, new, now=now)
        row.save()
    return row


def _row(remote: RemoteSandbox, *, owner: str, now: datetime) -> Sandbox:
    labels = remote.labels
    return Sandbox(
        owner=Owner.objects.get_or_create(pk=owner)[0],
        daytona_id=remote.id,
        daytona_name=remote.name[:255],
        name=labels.get("harness_name", "")[:200],
        harness_id=labels.get("harness_id", "")[:255],
        language=labels.get("code-toolbox-language", "python")[:50],
        user_labels=taken_over(labels),
        resource_tier=labels.get("harness_resource_tier", "")[:50] or _tier_of(remote),
        last_accessed_at=remote.last_activity_at and min(remote.last_activity_at, now),
        created_at=remote.created_at or now,
        status_changed_at=now,
    )


def _save(row: Sandbox, found: Found, *, message: str, actor: Actor, now: datetime) -> None:
    row.save(force_insert=True)
    row.known_calls = []
    with sandbox_store.telling(row, since={}):
        sandbox_store.event(row, EventKind.CREATED, message, actor=actor, at=now)
        with drafting(row, None, now=now) as draft:
            apply_observation(draft, Fetched(found.started, found.remote))
            refresh_status(draft)
        row.save()


def _intent_of(remote: RemoteSandbox) -> Intent:
    """What it is, or is on its way to, is what is wanted from now on."""
    status = STATES[remote.state].status if remote.state in STATES else Status.RUNNING
    of_status = INTENT_OF_STATUS.get(status, Intent.RUNNING)
    return INTENT_OF_DESIRED.get(remote.desired_state, of_status)


def _tier_of(remote: RemoteSandbox) -> str:
    size = (remote.cpu, remote.memory_gb, remote.disk_gb)
    fits = (
        name for name, tier in settings.TIERS.items() if (tier["cpu"], tier["memory_gb"], tier["disk_gb"]) == size
    )
    return next(fits, "basic")


def finding(
    kind: FindingKind,
    remote: RemoteSandbox,
    text: str,
    *,
    row: Sandbox | None = None,
    owner: str = "",
    changes: Sequence[FieldChange] = (),
) -> SweepFinding:
    return SweepFinding(
        kind=kind,
        text=text,
        daytona_id=remote.id,
        sandbox_id=row.pk if row else None,
        name=row.display_name if row else remote.labels.get("harness_name") or remote.name,
        owner=row.owner_id if row else owner or remote.labels.get(OWNER_LABEL, ""),
        changes=tuple(changes),
    )
