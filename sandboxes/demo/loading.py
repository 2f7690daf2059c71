"""Making the demo: the services are asked as people ask them, and a worker in this process does the work."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sandboxes.core.vocabulary import Action, Actor, Source
from sandboxes.demo.plan import Planned, planned
from sandboxes.engine.worker import beside
from sandboxes.models import ConvexProjection, Operation, Sandbox
from sandboxes.services import lifecycle

if TYPE_CHECKING:
    from collections.abc import Iterable

    import httpx

PATIENCE = 60.0  # seconds for one round of operations


def load(control: httpx.Client) -> int:
    """Make what is missing of the demo and return how many sandboxes were made."""
    missing = [one for one in planned() if not Sandbox.objects.filter(owner=one.owner, name=one.name).exists()]
    if not missing:
        return 0
    with beside():
        made = [(one, _create(one)) for one in missing]
        _settle()
        for step in range(2):
            for one, sandbox in made:
                for action in one.ending.actions[step : step + 1]:
                    _ask(sandbox, action)
            _settle()
        _let_fate_happen(control, made)
        _settle()
    return len(made)


def _create(one: Planned) -> Sandbox:
    new = lifecycle.NewRequest(
        name=one.name,
        tier=one.tier,
        language=one.language,
        # The demo is to stay as it is: Daytona's own timers would stop everything within a quarter of an hour.
        auto_stop_minutes=0,
    )
    return lifecycle.create(one.owner, actor=Actor.owner(one.owner), source=Source.API, new=new).sandbox


def _ask(sandbox: Sandbox, action: Action) -> None:
    lifecycle.request(sandbox.pk, action, actor=Actor.owner(sandbox.owner_id), source=Source.API)


def _let_fate_happen(control: httpx.Client, made: Iterable[tuple[Planned, Sandbox]]) -> None:
    for one, sandbox in made:
        if one.ending.fate:
            sandbox.refresh_from_db()
            control.patch(f"/sandboxes/{sandbox.daytona_id}", json=dict(one.ending.fate)).raise_for_status()
            lifecycle.request(
                sandbox.pk, Action.SYNC, actor=Actor.system("demo"), source=Source.COMMAND, reason="Demo data"
            )


def _settle() -> None:
    """Wait until every operation has ended and Convex has been told."""
    deadline = time.monotonic() + PATIENCE
    while _unfinished():
        if time.monotonic() > deadline:
            raise TimeoutError(f"After {PATIENCE:g} s there are still {_unfinished()} things to do.")
        time.sleep(0.1)


def _unfinished() -> int:
    operations = Operation.objects.active().count()
    behind = ConvexProjection.objects.behind().filter(sandbox__deleted_at=None)
    return operations + behind.count()
