"""What staff can do with sandboxes: one table, and one function that calls the services."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from sandboxes import clock
from sandboxes.admin import selectors
from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Action, Actor, Intent, Source, Status
from sandboxes.models import Operation, Sandbox
from sandboxes.services import lifecycle, projection


@dataclass(frozen=True, slots=True)
class Verb:
    """`asks`: it has a page of its own that says what will happen and takes a reason."""

    name: str
    label: str
    symbol: str
    permission: str
    doing: str
    action: Action | None = None
    asks: bool = False
    danger: bool = False
    consequence: str = ""

    @property
    def url(self) -> str:
        """Where a POST does it."""
        return reverse(f"admin:sandboxes_sandbox_act_{self.name}")


VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb("start", "Start", "play_arrow", "sandboxes.start_sandbox", "Starting", Action.START),
        Verb(
            "stop", "Stop", "stop", "sandboxes.stop_sandbox", "Stopping", Action.STOP, asks=True,
            consequence="Processes end and memory is lost; the disk stays. Programs get a clear no until "
            "somebody starts it again.",
        ),
        Verb(
            "archive", "Archive", "inventory_2", "sandboxes.archive_sandbox", "Archiving", Action.ARCHIVE,
            asks=True,
            consequence="It is stopped first, then its disk moves to slow storage; the next start takes "
            "minutes instead of seconds.",
        ),
        Verb("recover", "Recover", "healing", "sandboxes.recover_sandbox", "Recovering", Action.RECOVER),
        Verb("sync", "Sync", "sync", "sandboxes.sync_sandbox", "Looking at", Action.SYNC),
        Verb("push", "Push to Convex", "cloud_upload", "sandboxes.push_sandbox", "Pushing"),
        Verb(
            "protect", "Protect", "shield", "sandboxes.protect_sandbox", "Protecting", asks=True,
            consequence="It is not stopped to make room for others until then. People can still stop it.",
        ),
        Verb("unprotect", "Unprotect", "remove_moderator", "sandboxes.protect_sandbox", "Unprotecting"),
        Verb("cancel", "Cancel operation", "undo", "sandboxes.cancel_operation", "Cancelling"),
        Verb(
            "delete", "Delete", "delete", "sandboxes.delete_sandbox", "Deleting", Action.DELETE,
            asks=True, danger=True,
            consequence="It is deleted in Daytona with its disk. Nothing brings it back.",
        ),
    )
}  # fmt: skip
PROTECT_HOURS = (("1", "1 hour"), ("8", "8 hours"), ("24", "1 day"), ("168", "7 days"), ("720", "30 days"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a member of staff asked for, for one or many sandboxes."""

    actor: Actor
    reason: str = ""
    force: bool = False
    hours: int = 24
    request_id: str = field(default_factory=lambda: current_request_id())


def current_request_id() -> str:
    """The id of the request that the logs carry too."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def actor_of(request: HttpRequest) -> Actor:
    return Actor.staff(request.user.get_username())


def allowed_verbs(request: HttpRequest) -> list[Verb]:
    """The verbs this user has the permission for."""
    return [verb for verb in VERBS.values() if request.user.has_perm(verb.permission)]


def obstacle(verb: Verb, sandbox: Sandbox, *, active: Operation | None, force: bool = True) -> str:
    """Why the verb cannot work on this sandbox now, for people; empty when it can."""
    refused = lifecycle.obstacles(sandbox, active=active, on_hold=sandbox.owner.on_hold, force=force)
    if verb.action in refused:
        return refused[verb.action].detail
    return pointless(verb, sandbox, active=active)


def pointless(verb: Verb, sandbox: Sandbox, *, active: Operation | None) -> str:
    """What a service would accept, or refuse, to no effect."""
    if verb.name == "cancel":
        return _not_cancellable(active)
    if verb.name in ("protect", "unprotect"):
        return _protection(verb, sandbox)
    if verb.name == "push":
        return projection.NO_ID if sandbox.daytona_id is None else ""
    if verb.name == "recover" and sandbox.status != Status.ERROR:
        return "Only a sandbox in error can be recovered."
    is_settled = active is None and sandbox.intent_met_at is not None
    return _already(verb, sandbox) if is_settled else ""


def _already(verb: Verb, sandbox: Sandbox) -> str:
    if verb.name == "start" and sandbox.status == Status.RUNNING:
        return "It is running."
    if verb.name == "stop" and sandbox.intent == Intent.STOPPED and sandbox.status == Status.STOPPED:
        return "It is stopped."
    if verb.name == "archive" and sandbox.status == Status.ARCHIVED:
        return "It is archived."
    return ""


def _not_cancellable(active: Operation | None) -> str:
    if active is None:
        return "No operation is active."
    if active.action != Action.CREATE and active.has_called:  # type: ignore[attr-defined]
        return "Daytona was already asked: request the opposite instead."
    return ""


def _protection(verb: Verb, sandbox: Sandbox) -> str:
    if sandbox.status == Status.GONE:
        return f"“{sandbox.display_name}” no longer exists in Daytona."
    protected = sandbox.protected_until is not None and sandbox.protected_until > timezone.now()
    return "It is not protected." if verb.name == "unprotect" and not protected else ""


def perform(verb: Verb, sandbox_id: UUID, wish: Wish) -> Operation | None:
    """Do it, through the services. Returns the operation, where the verb makes one.

    Raises:
        Refused: the service said no; nothing has changed.
    """
    if verb.action is not None:
        return lifecycle.request(
            sandbox_id, verb.action, actor=wish.actor, source=Source.ADMIN, reason=wish.reason, force=wish.force,
            request_id=wish.request_id,
        )  # fmt: skip
    if verb.name == "cancel":
        return _cancel(sandbox_id, wish)
    if verb.name == "push":
        projection.push_again(sandbox_id, actor=wish.actor)
        return None
    until = _until(wish) if verb.name == "protect" else None
    lifecycle.protect(sandbox_id, actor=wish.actor, until=until, reason=wish.reason)
    return None


def _cancel(sandbox_id: UUID, wish: Wish) -> Operation:
    rows = selectors.with_latest_operation(Sandbox.objects.filter(pk=sandbox_id))
    active = next((selectors.active_of(row) for row in rows), None)
    if active is None:
        raise Refused(Code.OPERATION_FINISHED, "No operation is active.")
    return lifecycle.cancel(active.pk, actor=wish.actor, reason=wish.reason, request_id=wish.request_id)


def _until(wish: Wish) -> datetime:
    return clock.now() + timedelta(hours=wish.hours)
