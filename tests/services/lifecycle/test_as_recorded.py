"""What Daytona was seen to do, and what we must then say and do: each a whole story against the emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.core.codes import Code
from sandboxes.core.vocabulary import Action, Actor, Source
from sandboxes.models import Operation, Sandbox
from sandboxes.providers import blocking
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.services import lifecycle
from tests.api.callers import problem, program
from tests.services.making_room import full, idle, stopped
from tests.support.driving import ask, do, pass_time, reload, settle, settle_in, step_until
from tests.support.worker_thread import working

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.support.emulator import Emulator

ALICE = Actor.owner("alice")
NO_SPACE = "no space left on device"


def calls(world: Emulator, sandbox: Sandbox) -> list[str]:
    """What Daytona has carried out for it."""
    lines = world.log(system="daytona", key=str(sandbox.daytona_id))
    return [line["action"] for line in lines if not line["action"].startswith(("labels", "last-activity"))]


def create(**new: Any) -> Operation:
    return lifecycle.create("alice", actor=ALICE, source=Source.API, new=lifecycle.NewRequest(**new))


def disk_is_full(world: Emulator) -> None:
    """Every start fails from now on."""
    world.faults.add("host", operation="start", error=NO_SPACE, recoverable=True)


def in_error(world: Emulator, running: Callable[..., Sandbox], *, recoveries: int = 0) -> Sandbox:
    """For a full disk, and recovered so often before."""
    sandbox = running()
    failed = {"state": "error", "desiredState": "started", "errorReason": NO_SPACE, "recoverable": True}
    world.change(str(sandbox.daytona_id), **failed, recoveries=recoveries)
    do(sandbox, Action.SYNC)
    return sandbox


# A start that was carried out and failed


def test_a_start_with_a_full_disk_is_recovered_once(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = stopped(running)
    disk_is_full(world)
    operation = do(sandbox, Action.START)
    assert (operation.status, operation.code) == ("failed", Code.SANDBOX_ERRORED)
    assert calls(world, sandbox) == ["create", "stop", "start", "recover"]
    assert reload(sandbox.pk).status == "error"


def test_a_recover_with_a_full_disk_is_made_once(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = in_error(world, running)
    disk_is_full(world)
    operation = do(sandbox, Action.RECOVER)
    assert (operation.status, operation.code) == ("failed", Code.SANDBOX_ERRORED)
    assert calls(world, sandbox) == ["create", "recover"]


def test_a_create_with_a_full_disk_is_recovered_once(world: Emulator) -> None:
    """The row stays in Daytona, and its name is taken."""
    disk_is_full(world)
    world.faults.add("host", operation="create", error=NO_SPACE, recoverable=True)
    operation = create()
    settle(operation)
    sandbox = reload(operation.sandbox_id)
    assert (operation.status, operation.code) == ("failed", Code.SANDBOX_ERRORED)
    assert calls(world, sandbox) == ["create", "recover"]
    assert (sandbox.status, sandbox.error_reason) == ("error", NO_SPACE)


def test_a_recovery_that_fails_in_daytona_is_not_made_again(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = in_error(world, running)
    world.faults.add("host", operation="recover", error="the host is busy")
    operation = do(sandbox, Action.RECOVER)
    assert (operation.status, operation.code) == ("failed", Code.SANDBOX_ERRORED)
    assert calls(world, sandbox) == ["create", "recover"]
    assert (reload(sandbox.pk).error_reason, reload(sandbox.pk).recoverable) == (NO_SPACE, True)


@pytest.mark.parametrize("action", [Action.START, Action.RECOVER])
def test_what_cannot_be_expanded_further_is_unrecoverable(
    world: Emulator, running: Callable[..., Sandbox], action: Action
) -> None:
    sandbox = in_error(world, running, recoveries=2)
    operation = do(sandbox, action)
    assert (operation.status, operation.code) == ("failed", Code.SANDBOX_UNRECOVERABLE)
    assert "cannot be further expanded" in operation.message
    assert calls(world, sandbox) == ["create"]


@pytest.mark.parametrize(
    ("recoveries", "code"), [(0, Code.SANDBOX_ERRORED), (2, Code.SANDBOX_UNRECOVERABLE)], ids=str
)
def test_the_problem_of_a_full_disk_does_not_say_ask_again(
    world: Emulator, running: Callable[..., Sandbox], recoveries: int, code: Code
) -> None:
    sandbox = in_error(world, running, recoveries=recoveries)
    disk_is_full(world)
    with working():
        answer = program("alice").post(f"/sandboxes/{sandbox.pk}/start", Prefer="wait=20")
    found = problem(answer, code)
    assert (answer.status_code, "Retry-After" in answer, "retry_after" in found) == (409, False, False)
    assert "again" not in found["remedy"]


# Making room


def its_stop_fails(world: Emulator, victim: Sandbox) -> None:
    world.faults.add("host", operation="stop", sandbox=victim.daytona_id, error=NO_SPACE, recoverable=True)


def it_fails_by_itself(world: Emulator, victim: Sandbox) -> None:
    world.change(str(victim.daytona_id), state="error", errorReason="out of memory")


def it_is_deleted_in_daytona(world: Emulator, victim: Sandbox) -> None:
    blocking.run(daytona.gateway().change("delete", str(victim.daytona_id)))


def it_vanishes(world: Emulator, victim: Sandbox) -> None:
    world.vanish(str(victim.daytona_id))


def its_owner_deletes_it(world: Emulator, victim: Sandbox) -> None:
    settle_in(world, ask(victim, Action.DELETE))


ENDS_OTHERWISE = [it_is_deleted_in_daytona, it_vanishes, its_owner_deletes_it]


@pytest.mark.usefixtures("no_attempt_waits")
@pytest.mark.parametrize(
    "ends",
    [*ENDS_OTHERWISE, its_stop_fails, it_fails_by_itself],
    ids=lambda ends: ends.__name__,
)
def test_a_victim_makes_room_however_it_ends(
    world: Emulator,
    running: Callable[..., Sandbox],
    settings: Settings,
    ends: Callable[[Emulator, Sandbox], None],
) -> None:
    """What counts no more has freed its place: the refused call comes before a second victim."""
    settings.MISSING_CONFIRM_SECONDS = 2.0
    wanted = stopped(running, name="wanted")
    old, new = running(name="old"), running(name="new")
    idle(world, old, new)
    full(world, 2)
    operation = ask(wanted, Action.START)
    evictions = Operation.objects.filter(source=Source.EVICTION)

    def has_a_victim() -> bool:
        lifecycle.attempt(operation.pk)
        return evictions.exists()

    step_until(world, has_a_victim, what="victim")
    ends(world, old)
    settle_in(world, operation)
    assert operation.status == "succeeded"
    assert list(evictions.values_list("sandbox_id", flat=True)) == [old.pk]
    assert reload(new.pk).status == "running"


# A call slower than we wait for its answer


@pytest.fixture
def impatient(no_attempt_waits: None, settings: Settings) -> None:
    settings.DAYTONA_READ_TIMEOUT = settings.DAYTONA_HOLD_TIMEOUT = 0.3
    daytona.reset()


def slow_start(world: Emulator, running: Callable[..., Sandbox]) -> Operation:
    sandbox = stopped(running, auto_stop_minutes=1)
    world.settings(transition=5)
    return ask(sandbox, Action.START)


def slow_create(world: Emulator, running: Callable[..., Sandbox]) -> Operation:
    world.settings(transition=5)
    return create(auto_stop_minutes=1)


def pass_together(world: Emulator, seconds: int) -> None:
    for _ in range(seconds // 10):
        world.advance(10)
        pass_time(10)


@pytest.mark.parametrize("slow_call", [slow_create, slow_start])
def test_what_daytona_stops_by_itself_after_a_slow_call_stays_stopped(
    world: Emulator,
    running: Callable[..., Sandbox],
    impatient: None,
    slow_call: Callable[[Emulator, Callable[..., Sandbox]], Operation],
) -> None:
    operation = slow_call(world, running)
    settle_in(world, operation)
    assert operation.status == "succeeded"
    sandbox = reload(operation.sandbox_id)
    before = calls(world, sandbox)
    pass_together(world, 400)
    assert calls(world, sandbox) == [*before, "auto-stop"]
    do(sandbox, Action.SYNC)
    row = reload(sandbox.pk)
    assert (row.status, row.intent) == ("stopped", "running")


@pytest.mark.parametrize(("call", "then"), [(Action.START, "stop"), (Action.STOP, "start")])
def test_what_somebody_does_in_daytona_after_a_call_without_an_answer_stays_done(
    world: Emulator, running: Callable[..., Sandbox], impatient: None, call: Action, then: str
) -> None:
    new: dict[str, Any] = {"auto_stop_minutes": 0}
    sandbox = stopped(running, **new) if call == Action.START else running(**new)
    world.faults.add("drop_after", path=f"/{call}$", times=1)
    operation = ask(sandbox, call)
    settle_in(world, operation)
    assert operation.status == "succeeded"
    blocking.run(daytona.gateway().change(then, str(sandbox.daytona_id)))
    before = calls(world, sandbox)
    assert before[-2:] == [call, then]
    pass_together(world, 400)
    assert calls(world, sandbox) == before


# Refusals that say "not now"

THROTTLED = {"statusCode": 429, "error": "Too Many Requests", "message": "ThrottlerException: Too Many Requests"}


@pytest.mark.parametrize(
    ("rounds", "every"),
    [
        (13, 4.0),
        (20, 4.0),
        (13, 5.0),
        (7, 30.0),
    ],
)
def test_a_throttled_stop_does_not_time_out(
    world: Emulator, running: Callable[..., Sandbox], no_attempt_waits: None, rounds: int, every: float
) -> None:
    sandbox = running()
    headers = {"Retry-After-sandbox-lifecycle": "0"}
    throttle = world.faults.add("status", path="/stop$", status=429, answer=THROTTLED, headers=headers)
    operation = ask(sandbox, Action.STOP)
    for _ in range(rounds):
        pass_time(every)
    world.faults.remove(throttle)
    settle_in(world, operation)
    assert (operation.status, operation.code) == ("succeeded", "")


def a_bad_key(world: Emulator, settings: Settings) -> None:
    world.settings(keys={name: key | {"expired": True} for name, key in world.settings()["keys"].items()})


def no_key(world: Emulator, settings: Settings) -> None:
    settings.DAYTONA_API_KEY = ""
    daytona.reset()


def a_suspended_organisation(world: Emulator, settings: Settings) -> None:
    world.settings(suspended="unpaid")


def no_runners(world: Emulator, settings: Settings) -> None:
    world.settings(runner="none")


REFUSALS = [
    *((refusal, action) for refusal in (a_bad_key, no_key) for action in (Action.CREATE, Action.START)),
    (a_suspended_organisation, Action.CREATE),
    (a_suspended_organisation, Action.START),
    (no_runners, Action.CREATE),
]


@pytest.mark.parametrize(("refused_by", "action"), REFUSALS)
def test_no_refusal_for_now_runs_into_a_deadline(
    world: Emulator,
    running: Callable[..., Sandbox],
    no_attempt_waits: None,
    settings: Settings,
    refused_by: Callable[[Emulator, Settings], None],
    action: Action,
) -> None:
    sandbox = stopped(running)
    before = world.settings()
    refused_by(world, settings)
    operation = create() if action == Action.CREATE else ask(sandbox, action)
    for _ in range(12):
        world.advance(70)
        pass_time(70)
    settings.DAYTONA_API_KEY = world.daytona_key
    daytona.reset()
    world.settings(**{name: before[name] for name in ("keys", "suspended", "runner")})
    settle_in(world, operation)
    assert (operation.status, operation.code) == ("succeeded", "")
