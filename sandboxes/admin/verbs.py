"""What staff can do with sandboxes: one table, each verb with its callables."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from django.urls import reverse

from sandboxes import clock
from sandboxes.admin import selectors
from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Action, Actor, Intent, Source, Status
from sandboxes.models import Operation, Sandbox
from sandboxes.services import lifecycle, projection

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from django.http import HttpRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a member of staff asked for, for one or many sandboxes."""

    actor: Actor
    reason: str = ""
    force: bool = False
    hours: int = 24
    request_id: str = field(default_factory=lambda: current_request_id())


# --- what makes a verb pointless: what a service would accept, or refuse, to no effect


def _is_at_rest(sandbox: Sandbox, active: Operation | None) -> bool:
    return active is None and sandbox.intent_met_at is not None


def _already_running(sandbox: Sandbox, active: Operation | None) -> str:
    return "It is running." if sandbox.status == Status.RUNNING and _is_at_rest(sandbox, active) else ""


def _already_stopped(sandbox: Sandbox, active: Operation | None) -> str:
    is_so = sandbox.intent == Intent.STOPPED and sandbox.status == Status.STOPPED
    return "It is stopped." if is_so and _is_at_rest(sandbox, active) else ""


def _already_archived(sandbox: Sandbox, active: Operation | None) -> str:
    return "It is archived." if sandbox.status == Status.ARCHIVED and _is_at_rest(sandbox, active) else ""


def _not_in_error(sandbox: Sandbox, active: Operation | None) -> str:
    return "" if sandbox.status == Status.ERROR else "Only a sandbox in error can be recovered."


def _not_in_daytona(sandbox: Sandbox, active: Operation | None) -> str:
    return projection.NO_ID if sandbox.daytona_id is None else ""


def _gone(sandbox: Sandbox, active: Operation | None) -> str:
    return f"“{sandbox.display_name}” no longer exists in Daytona." if sandbox.status == Status.GONE else ""


def _not_protected(sandbox: Sandbox, active: Operation | None) -> str:
    return _gone(sandbox, active) or ("" if is_protected(sandbox) else "It is not protected.")


def _not_cancellable(sandbox: Sandbox, active: Operation | None) -> str:
    if active is None:
        return "No operation is active."
    if active.action != Action.CREATE and active.has_called:  # type: ignore[attr-defined]
        return "Daytona was already asked: request the opposite instead."
    return ""


def _not_to_forget(sandbox: Sandbox, active: Operation | None) -> str:
    if sandbox.forgotten_at is not None:
        return "It is forgotten already."
    is_stuck = _is_being_deleted(sandbox) and getattr(sandbox, "stuck", True)
    return "" if is_stuck else "Only a delete that is stuck can be forgotten."


def _is_being_deleted(sandbox: Sandbox) -> bool:
    return sandbox.intent == Intent.DELETED and sandbox.status != Status.GONE


def is_protected(sandbox: Sandbox) -> bool:
    return sandbox.protected_until is not None and sandbox.protected_until > clock.here()


# --- how a verb that is no action is performed


def _push(sandbox_id: UUID, wish: Wish) -> None:
    projection.push_again(sandbox_id, actor=wish.actor)


def _protect(sandbox_id: UUID, wish: Wish) -> None:
    until = clock.now() + timedelta(hours=wish.hours)
    lifecycle.protect(sandbox_id, actor=wish.actor, until=until, reason=wish.reason)


def _unprotect(sandbox_id: UUID, wish: Wish) -> None:
    lifecycle.protect(sandbox_id, actor=wish.actor, until=None, reason=wish.reason)


def _forget(sandbox_id: UUID, wish: Wish) -> None:
    lifecycle.forget(sandbox_id, actor=wish.actor, reason=wish.reason)


def _cancel(sandbox_id: UUID, wish: Wish) -> Operation:
    rows = selectors.with_latest_operation(Sandbox.objects.filter(pk=sandbox_id))
    active = next((selectors.active_of(row) for row in rows), None)
    if active is None:
        raise Refused(Code.OPERATION_FINISHED, "No operation is active.")
    return lifecycle.cancel(active.pk, actor=wish.actor, reason=wish.reason, request_id=wish.request_id)


@dataclass(frozen=True, slots=True)
class Verb:
    """What staff can do with a sandbox.

    `pointless` says why it would have no effect now. `perform` does what is no action. `asks` names the fields of
    the page that says what will happen; without any there is no such page. `is_offered`: whether the sandbox's
    page has its button. `only_unlists`: whether all it does to this one is to take it off its owner's list.
    """

    name: str
    label: str
    symbol: str
    permission: str
    doing: str
    action: Action | None = None
    perform: Callable[[UUID, Wish], Operation | None] | None = None
    pointless: Callable[[Sandbox, Operation | None], str] = lambda sandbox, active: ""
    is_offered: Callable[[Sandbox], bool] = lambda sandbox: True
    only_unlists: Callable[[Sandbox], bool] = lambda sandbox: False
    asks: tuple[str, ...] = ()
    danger: bool = False
    consequence: str = ""

    @property
    def url(self) -> str:
        """Where a POST does it."""
        return reverse(f"admin:sandboxes_sandbox_act_{self.name}")

    @property
    def may_destroy(self) -> bool:
        """Whether staff can agree that it destroys what does not survive it."""
        return "force" in self.asks


VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb(
            "start", "Start", "play_arrow", "sandboxes.start_sandbox", "Starting", Action.START,
            pointless=_already_running,
        ),
        Verb(
            "stop", "Stop", "stop", "sandboxes.stop_sandbox", "Stopping", Action.STOP,
            pointless=_already_stopped,
            asks=("reason", "force"),
            consequence="Processes end and memory is lost; the disk stays. API callers are refused until "
            "someone restarts it.",
        ),
        Verb(
            "archive", "Archive", "inventory_2", "sandboxes.archive_sandbox", "Archiving", Action.ARCHIVE,
            pointless=_already_archived,
            asks=("reason", "force"),
            consequence="It is stopped first, then its disk moves to slow storage; the next start takes "
            "minutes instead of seconds.",
        ),
        Verb(
            "recover", "Recover", "healing", "sandboxes.recover_sandbox", "Recovering", Action.RECOVER,
            pointless=_not_in_error,
        ),
        Verb("sync", "Sync", "sync", "sandboxes.sync_sandbox", "Syncing", Action.SYNC),
        Verb(
            "push", "Push to Convex", "cloud_upload", "sandboxes.push_sandbox", "Pushing",
            perform=_push,
            pointless=_not_in_daytona,
        ),
        Verb(
            "protect", "Protect", "shield", "sandboxes.protect_sandbox", "Protecting",
            perform=_protect,
            pointless=_gone,
            is_offered=lambda sandbox: not is_protected(sandbox),
            asks=("reason", "hours"),
            consequence="Not evicted while protected. People can still stop it.",
        ),
        Verb(
            "unprotect", "Unprotect", "remove_moderator", "sandboxes.protect_sandbox", "Unprotecting",
            perform=_unprotect,
            pointless=_not_protected,
            is_offered=is_protected,
        ),
        Verb(
            "cancel", "Cancel operation", "undo", "sandboxes.cancel_operation", "Cancelling",
            perform=_cancel,
            pointless=_not_cancellable,
        ),
        Verb(
            "forget", "Forget", "folder_off", "sandboxes.delete_sandbox", "Forgetting",
            perform=_forget,
            pointless=_not_to_forget,
            is_offered=_is_being_deleted,
            asks=("reason",),
            consequence="It counts against its owner's limit no more. The delete goes on in Daytona.",
        ),
        Verb(
            "delete", "Delete", "delete", "sandboxes.delete_sandbox", "Deleting", Action.DELETE,
            only_unlists=lambda sandbox: sandbox.status == Status.GONE,
            asks=("reason",),
            danger=True,
            consequence="It is deleted in Daytona with its disk. Nothing brings it back.",
        ),
    )
}  # fmt: skip
PROTECT_HOURS = (("1", "1 hour"), ("8", "8 hours"), ("24", "1 day"), ("168", "7 days"), ("720", "30 days"))


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
    return verb.pointless(sandbox, active)


def perform(verb: Verb, sandbox_id: UUID, wish: Wish) -> Operation | None:
    """Do it, through the services. Returns the operation, where the verb makes one.

    Raises:
        Refused: the service said no; nothing has changed.
    """
    if verb.perform is not None:
        return verb.perform(sandbox_id, wish)
    assert verb.action is not None
    return lifecycle.request(
        sandbox_id, verb.action, actor=wish.actor, source=Source.ADMIN, reason=wish.reason, force=wish.force,
        request_id=wish.request_id,
    )  # fmt: skip
