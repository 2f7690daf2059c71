from __future__ import annotations

from collections.abc import Callable

from pytest_django import Settings

from sandboxes.models import Operation, Sandbox
from sandboxes.services import lifecycle
from sandboxes.services.lifecycle.advance import LONGEST_PAUSE, backoff
from sandboxes.states import Action
from tests.support.driving import ask
from tests.support.emulator import Emulator


def test_the_backoff_grows_and_has_an_end(settings: Settings) -> None:
    pauses = [backoff(attempt) for attempt in range(200)]
    assert pauses == sorted(pauses)
    assert pauses[0] == settings.RETRY_BASE_SECONDS < pauses[-1] == LONGEST_PAUSE


def test_an_operation_waits_as_often_as_it_has_to(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    settings.TICK_SECONDS = 0.0
    sandbox = running()
    world.faults.add("status", path="/stop$", status=503, answer={"statusCode": 503, "message": "later"})
    stop = ask(sandbox, Action.STOP)
    Operation.objects.filter(pk=stop.pk).update(attempt=10**6)
    lifecycle.advance(stop.pk)
    stop.refresh_from_db()
    assert (stop.status, stop.attempt) == ("in_progress", 10**6 + 1)
