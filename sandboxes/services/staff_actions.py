"""What staff can do with sandboxes, one or many: one table, each with its permission and its callables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sandboxes import clock
from sandboxes.core.actions import ACTIONS
from sandboxes.core.codes import Code, Refused
from sandboxes.core.parameters import AS_BY_DEFAULT, Parameters, whole_number
from sandboxes.core.vocabulary import Action, Actor, Intent, Source, Status
from sandboxes.services import lifecycle, projection, sandbox_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from sandboxes.core.actions import ActionRow, Button
    from sandboxes.models import Operation, Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a member of staff asked for, for one or many sandboxes."""

    actor: Actor
    request_id: str
    reason: str = ""
    parameters: Parameters = AS_BY_DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection(Parameters):
    """What may be said with a protect."""

    hours: int = whole_number(
        "For how long",
        default=24,
        choices=((1, "1 hour"), (8, "8 hours"), (24, "1 day"), (168, "7 days"), (720, "30 days")),
    )


# --- what makes a verb pointless: what a service would accept, or refuse, to no effect


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
    is_stuck = is_being_deleted(sandbox) and getattr(sandbox, "stuck", True)
    return "" if is_stuck else "Only a delete that is stuck can be forgotten."


def is_being_deleted(sandbox: Sandbox) -> bool:
    return sandbox.intent == Intent.DELETED and sandbox.status != Status.GONE


def is_protected(sandbox: Sandbox) -> bool:
    return sandbox.protected_until is not None and sandbox.protected_until > clock.here()


# --- how a verb that is no action is performed


def _push(sandbox_id: UUID, wish: Wish) -> None:
    projection.push_again(sandbox_id, actor=wish.actor)


def _protect(sandbox_id: UUID, wish: Wish) -> None:
    assert isinstance(wish.parameters, Protection)
    until = clock.now() + timedelta(hours=wish.parameters.hours)
    lifecycle.protect(sandbox_id, actor=wish.actor, until=until, reason=wish.reason)


def _unprotect(sandbox_id: UUID, wish: Wish) -> None:
    lifecycle.protect(sandbox_id, actor=wish.actor, until=None, reason=wish.reason)


def _forget(sandbox_id: UUID, wish: Wish) -> None:
    lifecycle.forget(sandbox_id, actor=wish.actor, reason=wish.reason)


def _cancel(sandbox_id: UUID, wish: Wish) -> Operation:
    active = sandbox_store.active_operation(sandbox_id)
    if active is None:
        raise Refused(Code.OPERATION_FINISHED, "No operation is active.")
    return lifecycle.cancel(active.pk, actor=wish.actor, reason=wish.reason, request_id=wish.request_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffAction:
    """What one of them does. `pointless` says why it would have no effect now, `perform` does what is no action.
    `opposite` names the one that undoes it. `may_destroy`: whether staff can agree that it destroys what does not
    survive it."""

    permission: str
    parameters: type[Parameters] = Parameters
    may_destroy: bool = False
    action: Action | None = None
    perform: Callable[[UUID, Wish], Operation | None] | None = None
    pointless: Callable[[Sandbox, Operation | None], str] = lambda sandbox, active: ""
    opposite: str = ""


def _of_action(action: Action, row: ActionRow, button: Button) -> StaffAction:
    return StaffAction(
        permission=f"sandboxes.{action}_sandbox",
        parameters=row.parameters,
        may_destroy=row.stops,
        action=action,
        pointless=button.pointless,
        opposite=button.opposite,
    )


STAFF_ACTIONS: dict[str, StaffAction] = {
    **{one.value: _of_action(one, row, row.button) for one, row in ACTIONS.items() if row.button is not None},
    "push": StaffAction(permission="sandboxes.push_sandbox", perform=_push, pointless=_not_in_daytona),
    "protect": StaffAction(
        permission="sandboxes.protect_sandbox", parameters=Protection, perform=_protect, pointless=_gone,
        opposite="unprotect",
    ),
    "unprotect": StaffAction(
        permission="sandboxes.protect_sandbox", perform=_unprotect, pointless=_not_protected, opposite="protect"
    ),
    "cancel": StaffAction(permission="sandboxes.cancel_operation", perform=_cancel, pointless=_not_cancellable),
    "forget": StaffAction(permission="sandboxes.delete_sandbox", perform=_forget, pointless=_not_to_forget),
}  # fmt: skip


def perform(what: StaffAction, sandbox_id: UUID, wish: Wish) -> Operation | None:
    """Do it, through the services. Returns the operation, where one is made.

    Raises:
        Refused: the service said no; nothing has changed.
    """
    if what.perform is not None:
        return what.perform(sandbox_id, wish)
    assert what.action is not None
    return lifecycle.request(
        sandbox_id, what.action, actor=wish.actor, source=Source.ADMIN, reason=wish.reason,
        parameters=wish.parameters, request_id=wish.request_id,
    )  # fmt: skip
