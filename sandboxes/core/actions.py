"""ACTIONS: what can be asked for, one row each, and everything else that depends on the action derived from it.

What an action does next, by what is seen, is its column in plan.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sandboxes.core.parameters import Parameters
from sandboxes.core.states import ERROR_STATES, STABLE_STATES, STATES
from sandboxes.core.vocabulary import Action, Intent, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime


class ActionSubject(Protocol):
    """What is read of a sandbox to say that an action would have no effect."""

    @property
    def status(self) -> str: ...
    @property
    def intent(self) -> str: ...
    @property
    def intent_met_at(self) -> datetime | None: ...


def _is_at_rest(row: ActionSubject, active: object) -> bool:
    return active is None and row.intent_met_at is not None


def _already_running(row: ActionSubject, active: object) -> str:
    return "It is running." if row.status == Status.RUNNING and _is_at_rest(row, active) else ""


def _already_stopped(row: ActionSubject, active: object) -> str:
    is_so = row.intent == Intent.STOPPED and row.status == Status.STOPPED
    return "It is stopped." if is_so and _is_at_rest(row, active) else ""


def _already_archived(row: ActionSubject, active: object) -> str:
    return "It is archived." if row.status == Status.ARCHIVED and _is_at_rest(row, active) else ""


def _not_running(row: ActionSubject, _active: object) -> str:
    is_so = row.status in (Status.STOPPED, Status.ARCHIVED)
    return f"It is {row.status}: start it." if is_so else ""


def _not_in_error(row: ActionSubject, _active: object) -> str:
    return "" if row.status == Status.ERROR else "Only a sandbox in error can be recovered."


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """How staff ask for an action: its icon, and what its page says.

    `pointless` says why it would have no effect now, whatever operation is active. `opposite`: the action that
    undoes it. `asks_why`: whether a page says what will happen, and asks for a reason.
    `only_unlists`: whether all it does to this one is to take it off its owner's list.
    """

    symbol: str
    doing: str
    pointless: Callable[[ActionSubject, object], str] = lambda row, active: ""
    only_unlists: Callable[[ActionSubject], bool] = lambda row: False
    opposite: str = ""
    asks_why: bool = False
    danger: bool = False
    consequence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCall:
    """The call to the provider that has the name of its action.

    `shown`: the status until the provider shows its effect. `effects`: the states that it can bring about.
    `before`: the states from before it, which are not yet an answer to it. `ends_in`: the state that it is for.
    """

    shown: Status
    effects: frozenset[str]
    before: frozenset[str] = frozenset()
    ends_in: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRow:
    """What one action is.

    `intent`: what is wanted once it was asked for; None changes nothing. `deadline`: the default of the setting
    DEADLINE_<ACTION>, in seconds; None: it has as long as it takes. `joins`: the actions, besides itself, whose
    active operation it becomes part of. `stops`: whether it stops what runs. `button`: None where staff have none.
    `parameters`: what may be said with it.
    """

    intent: Intent | None = None
    deadline: float | None = None
    call: ProviderCall | None = None
    joins: frozenset[Action] = frozenset()
    stops: bool = False
    button: Button | None = None
    parameters: type[Parameters] = Parameters


def _of_status(*statuses: Status) -> frozenset[str]:
    return frozenset(word for word, state in STATES.items() if state.status in statuses)


_STARTED = _of_status(Status.STARTING, Status.RUNNING)

ACTIONS: dict[Action, ActionRow] = {
    Action.CREATE: ActionRow(
        intent=Intent.RUNNING,
        deadline=120,
        call=ProviderCall(shown=Status.CREATING, effects=_STARTED | _of_status(Status.CREATING), ends_in="started"),
    ),
    Action.START: ActionRow(
        intent=Intent.RUNNING,
        deadline=60,
        joins=frozenset({Action.CREATE, Action.RESTART}),
        call=ProviderCall(
            shown=Status.STARTING,
            effects=_STARTED,
            before=frozenset({"stopped", "archived", "archiving", "paused"}),
            ends_in="started",
        ),
        button=Button(symbol="play_arrow", doing="Starting", pointless=_already_running, opposite=Action.STOP),
    ),
    Action.STOP: ActionRow(
        intent=Intent.STOPPED,
        deadline=60,
        stops=True,
        call=ProviderCall(
            shown=Status.STOPPING,
            effects=frozenset({"stopping", "pausing", "stopped", "paused"}),
            before=frozenset({"started", "paused"}),
            ends_in="stopped",
        ),
        button=Button(
            symbol="stop",
            doing="Stopping",
            pointless=_already_stopped,
            opposite=Action.START,
            asks_why=True,
            consequence="Processes end and memory is lost; the disk stays. API callers are refused until someone "
            "restarts it.",
        ),
    ),
    # A stop and a start; all along it is wanted running.
    Action.RESTART: ActionRow(
        intent=Intent.RUNNING,
        deadline=120,
        stops=True,
        button=Button(
            symbol="restart_alt",
            doing="Restarting",
            pointless=_not_running,
            asks_why=True,
            consequence="Processes end and memory is lost; the disk stays. API callers wait until it runs again.",
        ),
    ),
    Action.ARCHIVE: ActionRow(
        intent=Intent.ARCHIVED,
        deadline=3600,
        stops=True,
        call=ProviderCall(
            shown=Status.STOPPING,
            effects=frozenset({"archiving", "archived"}),
            before=frozenset({"stopped"}),
            ends_in="archived",
        ),
        button=Button(
            symbol="inventory_2",
            doing="Archiving",
            pointless=_already_archived,
            opposite=Action.START,
            asks_why=True,
            consequence="It is stopped first, then its disk moves to slow storage; the next start takes minutes "
            "instead of seconds.",
        ),
    ),
    Action.DELETE: ActionRow(
        intent=Intent.DELETED,
        call=ProviderCall(
            shown=Status.STOPPING,
            effects=frozenset({"destroying", "destroyed"}),
            before=STABLE_STATES | ERROR_STATES | {"archiving", "pending_build"},
            ends_in="destroyed",
        ),
        button=Button(
            symbol="delete",
            doing="Deleting",
            only_unlists=lambda row: row.status == Status.GONE,
            asks_why=True,
            danger=True,
            consequence="It is deleted in Daytona with its disk. Nothing brings it back.",
        ),
    ),
    Action.RECOVER: ActionRow(
        intent=Intent.RUNNING,
        deadline=90,
        call=ProviderCall(
            shown=Status.STARTING,
            effects=_STARTED,
            before=ERROR_STATES | {"stopped", "archived"},
            ends_in="started",
        ),
        button=Button(symbol="healing", doing="Recovering", pointless=_not_in_error),
    ),
    Action.SYNC: ActionRow(deadline=60, joins=frozenset(Action), button=Button(symbol="sync", doing="Syncing")),
}

INTENT_OF: dict[str, Intent] = {action: row.intent for action, row in ACTIONS.items() if row.intent is not None}
CALLS: dict[str, ProviderCall] = {action: row.call for action, row in ACTIONS.items() if row.call is not None}
# Seconds, by the name in the setting: of each action, of a start out of the archive, and of a search for room.
DEADLINES: dict[str, float] = {
    **{action.value: row.deadline for action, row in ACTIONS.items() if row.deadline is not None},
    "start_archived": 180,
    "capacity": 300,
}
# What end in a sandbox that runs: refused for an owner on hold, like the calls that make them.
STARTING = frozenset(action for action, row in ACTIONS.items() if row.intent == Intent.RUNNING)
# The action that brings an intent about.
ACTION_FOR: dict[str, Action] = {
    Intent.RUNNING: Action.START,
    Intent.STOPPED: Action.STOP,
    Intent.ARCHIVED: Action.ARCHIVE,
    Intent.DELETED: Action.DELETE,
}
# What the provider is doing right now: it ends by itself.
MOVING = frozenset(call.shown for call in CALLS.values())


def joins(action: str, active: str) -> bool:
    """Whether a request for this action becomes part of the operation that is active."""
    return action == active or active in ACTIONS[Action(action)].joins


def parameters_of(action: str, data: Mapping[str, Any]) -> Parameters:
    """What was said with a request for this action, as it was stored."""
    return ACTIONS[Action(action)].parameters.from_data(data)


def brings_about(call: str, intent: str) -> bool:
    """Whether a call that is carried out late leaves the intent met."""
    if intent == Intent.DELETED:
        return call != Action.CREATE  # nothing else makes anything of what is gone
    return intent in STATES[CALLS[call].ends_in].meets
