"""How what staff can do with sandboxes is offered: one table of buttons and of the pages that ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from django.urls import reverse

from sandboxes.core.actions import ACTIONS
from sandboxes.core.parameters import Parameters
from sandboxes.core.vocabulary import Actor
from sandboxes.services import lifecycle
from sandboxes.services.staff_actions import STAFF_ACTIONS, is_being_deleted, is_protected

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

    from sandboxes.core.actions import Button
    from sandboxes.core.parameters import Described
    from sandboxes.core.vocabulary import Action
    from sandboxes.models import Operation, Sandbox
    from sandboxes.services.staff_actions import StaffAction


@dataclass(frozen=True, slots=True)
class Verb:
    """What staff can do with a sandbox, by the name that it has in STAFF_ACTIONS.

    `is_offered`: whether the sandbox's page has its button. `only_unlists`: whether all it does to this one is to
    take it off its owner's list. `asks_why`: whether the page that says what will happen asks for a reason.
    """

    name: str
    label: str
    symbol: str
    doing: str
    is_offered: Callable[[Sandbox], bool] = lambda sandbox: True
    only_unlists: Callable[[Sandbox], bool] = lambda sandbox: False
    asks_why: bool = False
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
    def offers(self) -> dict[str, Described]:
        """The parameters that staff can say with it."""
        always = () if self.does.may_destroy else Parameters.described()
        return {name: one for name, one in self.does.parameters.described().items() if name not in always}

    @property
    def asks(self) -> bool:
        """Whether a page says what will happen, and asks; else what was ticked is done at once."""
        return self.asks_why or bool(self.offers)


def _of_action(action: Action, button: Button) -> Verb:
    return Verb(
        action.value, action.label, button.symbol, button.doing, only_unlists=button.only_unlists,
        asks_why=button.asks_why, danger=button.danger, consequence=button.consequence,
    )  # fmt: skip


_OF_ACTIONS = [_of_action(action, row.button) for action, row in ACTIONS.items() if row.button is not None]
_OTHERS = (
    Verb("push", "Push to Convex", "cloud_upload", "Pushing"),
    Verb(
        "protect", "Protect", "shield", "Protecting",
        is_offered=lambda sandbox: not is_protected(sandbox),
        asks_why=True,
        consequence="Not evicted while protected. People can still stop it.",
    ),
    Verb("unprotect", "Unprotect", "remove_moderator", "Unprotecting", is_offered=is_protected),
    Verb("cancel", "Cancel operation", "undo", "Cancelling"),
    Verb(
        "forget", "Forget", "folder_off", "Forgetting",
        is_offered=is_being_deleted,
        asks_why=True,
        consequence="It counts against its owner's limit no more. The delete goes on in Daytona.",
    ),
)  # fmt: skip
# What cannot be undone stands last.
VERBS: dict[str, Verb] = {
    verb.name: verb for verb in sorted((*_OF_ACTIONS, *_OTHERS), key=lambda verb: verb.danger)
}


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
