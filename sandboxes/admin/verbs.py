"""How what staff can do with sandboxes is offered: one table of buttons and of the pages that ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from django.urls import reverse

from sandboxes.core.actions import ACTIONS
from sandboxes.core.vocabulary import Actor
from sandboxes.services import lifecycle
from sandboxes.services.staff_actions import STAFF_ACTIONS, is_being_deleted, is_protected

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

    from sandboxes.core.actions import Button
    from sandboxes.core.vocabulary import Action
    from sandboxes.models import Operation, Sandbox
    from sandboxes.services.staff_actions import StaffAction


@dataclass(frozen=True, slots=True)
class Verb:
    """What staff can do with a sandbox, by the name that it has in STAFF_ACTIONS.

    `asks` names the fields of the page that says what will happen; without any there is no such page for what was
    ticked. `is_offered`: whether the sandbox's page has its button. `only_unlists`: whether all it does to this one
    is to take it off its owner's list.
    """

    name: str
    label: str
    symbol: str
    doing: str
    is_offered: Callable[[Sandbox], bool] = lambda sandbox: True
    only_unlists: Callable[[Sandbox], bool] = lambda sandbox: False
    asks: tuple[str, ...] = ()
    danger: bool = False
    consequence: str = ""

    @property
    def does(self) -> StaffAction:
        return STAFF_ACTIONS[self.name]

    @property
    def permission(self) -> str:
        return self.does.permission

    @property
    def opposite(self) -> Verb | None:
        """What undoes it."""
        return VERBS.get(self.does.opposite)

    @property
    def url(self) -> str:
        """Where a POST does it."""
        return reverse(f"admin:sandboxes_sandbox_act_{self.name}")

    @property
    def may_destroy(self) -> bool:
        """Whether staff can agree that it destroys what does not survive it."""
        return "force" in self.asks


def _of_action(action: Action, button: Button) -> Verb:
    return Verb(
        action.value, action.label, button.symbol, button.doing, only_unlists=button.only_unlists, asks=button.asks,
        danger=button.danger, consequence=button.consequence,
    )  # fmt: skip


_OF_ACTIONS = [_of_action(action, row.button) for action, row in ACTIONS.items() if row.button is not None]
_OTHERS = (
    Verb("push", "Push to Convex", "cloud_upload", "Pushing"),
    Verb(
        "protect", "Protect", "shield", "Protecting",
        is_offered=lambda sandbox: not is_protected(sandbox),
        asks=("reason", "hours"),
        consequence="Not evicted while protected. People can still stop it.",
    ),
    Verb("unprotect", "Unprotect", "remove_moderator", "Unprotecting", is_offered=is_protected),
    Verb("cancel", "Cancel operation", "undo", "Cancelling"),
    Verb(
        "forget", "Forget", "folder_off", "Forgetting",
        is_offered=is_being_deleted,
        asks=("reason",),
        consequence="It counts against its owner's limit no more. The delete goes on in Daytona.",
    ),
)  # fmt: skip
# What cannot be undone stands last.
VERBS: dict[str, Verb] = {
    verb.name: verb for verb in sorted((*_OF_ACTIONS, *_OTHERS), key=lambda verb: verb.danger)
}
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
    if verb.does.action in refused:
        return refused[verb.does.action].detail
    return verb.does.pointless(sandbox, active)
