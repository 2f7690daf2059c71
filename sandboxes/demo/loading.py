"""Making the demo: the services are asked as people ask them, and a worker in this process does the work."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sandboxes.core.vocabulary import Action, Actor, Source
from sandboxes.demo import scenes
from sandboxes.demo.plan import Planned, planned
from sandboxes.engine.worker import beside
from sandboxes.models import ConvexProjection, Job, Operation, Sandbox
from sandboxes.services import lifecycle

if TYPE_CHECKING:
    import httpx

PATIENCE = 60.0  # seconds for one round of operations


def load(control: httpx.Client) -> int:
    """Make what is missing of the demo, also of one that was interrupted; returns how many sandboxes were made."""
    with beside():
        made = [(one, _find_or_create(one)) for one in planned()]
        _settle()
        for step in range(2):
            for one, (sandbox, _) in made:
                for action in one.ending.actions[step : step + 1]:
                    _ask_once(sandbox, action)
            _settle()
        for one, (sandbox, _) in made:
            _let_fate_happen(control, one, sandbox)
        _settle()
        scenes.play(control, _settle)
    return sum(is_new for _, (_, is_new) in made)


def _find_or_create(one: Planned) -> tuple[Sandbox, bool]:
    there = Sandbox.objects.filter(owner=one.owner, name=one.name).first()
    return (there, False) if there is not None else (_create(one), True)


def _create(one: Planned) -> Sandbox:
    new = lifecycle.NewRequest(
        name=one.name,
        tier=one.tier,
        language=one.language,
        # The demo is to stay as it is: Daytona's own timers would stop everything within a quarter of an hour.
        auto_stop_minutes=0,
    )
    return lifecycle.create(one.owner, actor=Actor.owner(one.owner), source=Source.API, new=new).sandbox


def _ask_once(sandbox: Sandbox, action: Action) -> None:
    if not sandbox.operations.filter(action=action).exists():
        lifecycle.request(sandbox.pk, action, actor=Actor.owner(sandbox.owner_id), source=Source.API)


def _let_fate_happen(control: httpx.Client, one: Planned, sandbox: Sandbox) -> None:
    fate = dict(one.ending.fate)
    sandbox.refresh_from_db()
    if not fate or sandbox.observed_state == fate["state"]:
        return
    control.patch(f"/sandboxes/{sandbox.daytona_id}", json=fate).raise_for_status()
    lifecycle.request(
        sandbox.pk, Action.SYNC, actor=Actor.system("demo"), source=Source.COMMAND, reason="Demo data"
    )


def _settle() -> None:
    """Wait until every job and operation has ended and Convex has been told."""
    deadline = time.monotonic() + PATIENCE
    while unfinished := _unfinished():
        if time.monotonic() > deadline:
            raise TimeoutError(f"After {PATIENCE:g} s this is still to be done, run it again: {unfinished}")
        time.sleep(0.1)


def _unfinished() -> list[str]:
    behind = ConvexProjection.objects.behind().filter(sandbox__deleted_at=None).select_related("sandbox")
    return [
        *(
            f"{one.action} of {one.sandbox}: {one.step}"
            for one in Operation.objects.active().select_related("sandbox")
        ),
        *(f"push of {one.sandbox}" for one in behind),
        *(str(job) for job in Job.objects.filter(finished_at=None)),
    ]
