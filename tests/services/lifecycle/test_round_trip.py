from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxes.core.vocabulary import Action
from tests.support.driving import do, reload

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandboxes.models import Sandbox
    from tests.support.emulator import Emulator


def test_a_sandbox_is_created_stopped_archived_started_and_deleted(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running(name="My box", tier="standard")
    assert (sandbox.status, sandbox.cpu, sandbox.memory_gb) == ("running", 2, 4)
    assert sandbox.intent_met_at is not None
    for action, status in [
        (Action.STOP, "stopped"),
        (Action.ARCHIVE, "archived"),
        (Action.START, "running"),
        (Action.ARCHIVE, "archived"),
        (Action.DELETE, "gone"),
    ]:
        operation = do(sandbox, action)
        assert (operation.status, operation.code) == ("succeeded", ""), action
        assert reload(sandbox.pk).status == status
    assert reload(sandbox.pk).deleted_at is not None


def test_each_mutation_reaches_daytona_once(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    for action in (Action.STOP, Action.START, Action.DELETE):
        do(sandbox, action)
    assert [line["action"] for line in world.log(system="daytona")] == ["create", "stop", "start", "delete"]


def test_the_timeline_tells_who_asked_and_what_daytona_said(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    do(sandbox, Action.STOP, reason="lunch")
    lines = list(sandbox.events.order_by("id").values_list("kind", "text", "actor"))
    assert ("intent", "Wanted stopped: lunch", "owner:alice") in lines
    assert ("observation", "Daytona says stopped", "") in lines
    assert ("operation", "Stop succeeded", "") in lines


def test_a_recoverable_error_is_recovered_by_a_start(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    world.change(str(sandbox.daytona_id), state="error", errorReason="out of disk", recoverable=True)
    do(sandbox, Action.SYNC)
    assert reload(sandbox.pk).status == "error"
    operation = do(sandbox, Action.START)
    assert operation.status == "succeeded"
    assert [call.name for call in operation.calls.all()] == ["recover"]


def test_an_unrecoverable_error_fails_with_daytonas_reason(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    world.change(str(sandbox.daytona_id), state="error", errorReason="disk melted", recoverable=False)
    operation = do(sandbox, Action.START)
    assert (operation.code, operation.message) == ("sandbox_unrecoverable", "disk melted")
    assert reload(sandbox.pk).status == "error"
