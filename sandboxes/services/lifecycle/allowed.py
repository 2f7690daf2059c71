"""What may be asked of a sandbox now: the gate's rules on rows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sandboxes.core import gate
from sandboxes.core.vocabulary import Action
from sandboxes.services.decisions import is_uncertain, sandbox_facts

if TYPE_CHECKING:
    from sandboxes.core.codes import Refused
    from sandboxes.models import Operation, Sandbox


def refusal(
    row: Sandbox, action: Action, *, active: Operation | None, on_hold: bool, force: bool = False
) -> Refused | None:
    """Why this action cannot be requested now; None when it can."""
    refused = obstacles(row, active=active, on_hold=on_hold, force=force)
    return refused.get(action)


def obstacles(
    row: Sandbox, *, active: Operation | None, on_hold: bool, force: bool = False
) -> dict[Action, Refused]:
    """The actions that would be refused now, and why: for disabled buttons and `allowed_actions`."""
    asked = partial(
        gate.obstacles, sandbox_facts(row), active=active.action if active else None, on_hold=on_hold, force=force
    )
    refused = asked(is_uncertain=False)
    # Only what would be refused has to be asked for a second time.
    return asked(is_uncertain=True) if refused and is_uncertain(row, active) else refused


def allowed_actions(row: Sandbox, *, active: Operation | None, on_hold: bool) -> list[str]:
    """The actions that a request would accept now, without force."""
    refused = obstacles(row, active=active, on_hold=on_hold)
    return [action.value for action in Action if action != Action.CREATE and action not in refused]


def destroyed_after(row: Sandbox) -> int | None:
    """How many minutes after a stop Daytona deletes it, if within a day; None when it stays."""
    return gate.destroyed_after(sandbox_facts(row))
