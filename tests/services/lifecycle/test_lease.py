from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.vocabulary import Action
from sandboxes.models import Operation, Sandbox
from sandboxes.services import lifecycle, sandbox_store
from tests.support.driving import ask, during, reload, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.emulator import Emulator


def test_a_sandbox_has_one_worker_at_a_time(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    token = sandbox_store.claim(sandbox.pk)
    assert token
    assert sandbox_store.claim(sandbox.pk) is None
    sandbox_store.release(sandbox.pk, token)
    assert sandbox_store.claim(sandbox.pk)


def test_the_lease_of_a_dead_worker_runs_out(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    stop = ask(sandbox, Action.STOP)
    sandbox_store.claim(sandbox.pk)
    assert not lifecycle.attempt(stop.pk)
    clock.move(61)
    settle(stop)
    assert stop.status == "succeeded"


def test_a_worker_whose_lease_was_taken_over_writes_nothing(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    slow = sandbox_store.claim(sandbox.pk)
    clock.move(61)
    quick = sandbox_store.claim(sandbox.pk)
    assert slow and quick
    with pytest.raises(sandbox_store.LostLease), sandbox_store.lock_sandbox(sandbox.pk, token=slow) as row:
        row.name = "late"
    assert reload(sandbox.pk).name == sandbox.name
    sandbox_store.release(sandbox.pk, slow)
    assert reload(sandbox.pk).lease_token == quick


@pytest.mark.parametrize(("method", "path"), [("GET", "/sandbox/[^/]+$"), ("POST", "/stop$")])
def test_an_attempt_that_is_superseded_gives_its_lease_back(
    world: Emulator, running: Callable[..., Sandbox], method: str, path: str
) -> None:
    sandbox = running()
    stop = ask(sandbox, Action.STOP)
    with during(world, lambda: lifecycle.attempt(stop.pk), method=method, path=path):
        start = ask(sandbox, Action.START)
        assert not lifecycle.attempt(start.pk)
    row = reload(sandbox.pk)
    assert (row.lease_token, row.lease_until) == ("", None)
    assert lifecycle.attempt(start.pk)


def test_an_operation_is_due_again_as_soon_as_a_dead_workers_lease_is_over(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    stop = ask(sandbox, Action.STOP)
    sandbox_store.claim(sandbox.pk)
    ends = reload(sandbox.pk).lease_until
    assert ends
    Operation.objects.filter(pk=stop.pk).update(due_at=ends + timedelta(seconds=15))
    assert not lifecycle.attempt(stop.pk)
    stop.refresh_from_db()
    assert stop.due_at == ends


def test_a_sandbox_is_looked_at_as_soon_as_a_dead_workers_lease_is_over(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    sandbox_store.claim(sandbox.pk)
    ends = reload(sandbox.pk).lease_until
    assert ends
    Sandbox.objects.filter(pk=sandbox.pk).update(fetch_due_at=ends + timedelta(seconds=15))
    assert not lifecycle.observe(sandbox.pk)
    assert reload(sandbox.pk).fetch_due_at == ends
