"""Every error class of Daytona, over HTTP: what the operation says meanwhile, and that it finishes afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandboxes import clock
from sandboxes.core.vocabulary import Action
from sandboxes.models import Notice, Sandbox
from sandboxes.providers import blocking
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.services import lifecycle
from tests.support.driving import ask, do, pass_time, reload, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.support.emulator import Emulator


def error(status: int, message: str, **more: Any) -> dict[str, Any]:
    return {"status": status, "answer": {"statusCode": status, "message": message}, **more}


PASSING: list[tuple[str, dict[str, Any], str]] = [
    ("busy", error(409, "Sandbox state change in progress"), "another change"),
    ("raced", error(409, "Sandbox was modified by another operation"), "another change"),
    ("bad gateway", {"status": 502, "answer": "<html>"}, "did not answer"),
    ("internal error", error(500, "An unexpected error occurred."), "did not answer"),
    ("unavailable", error(503, "Temporary authentication service error"), "did not answer"),
    ("lying 404", error(404, "Sandbox with ID or name x not found"), "did not answer"),
    (
        "throttled",
        error(429, "ThrottlerException: Too Many Requests", headers={"Retry-After-sandbox-lifecycle": "1"}),
        "throttles",
    ),
    ("suspended", error(403, "Organization is suspended: Payment method required"), "suspended"),
]


@pytest.mark.parametrize(("fault", "words"), [(f, w) for _, f, w in PASSING], ids=[p[0] for p in PASSING])
def test_the_operation_waits_and_finishes(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings, fault: dict[str, Any], words: str
) -> None:
    settings.ATTEMPT_SECONDS = 0.0
    sandbox = running()
    number = world.faults.add("status", path="/stop$", times=1, **fault)
    stop = ask(sandbox, Action.STOP)
    lifecycle.attempt(stop.pk)
    stop.refresh_from_db()
    assert world.faults.hits(number) == 1
    assert words in stop.step
    settle(stop)
    assert stop.status == "succeeded"
    assert reload(sandbox.pk).status == "stopped"


def test_daytona_away_is_waited_out_past_any_deadline(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    sandbox = running()
    settings.DAYTONA_API_URL = "http://127.0.0.1:9/api"
    daytona.reset()
    stop = ask(sandbox, Action.STOP)
    for _ in range(5):
        pass_time(100)
    stop.refresh_from_db()
    assert stop.is_active
    assert "cannot be reached" in stop.step
    settings.DAYTONA_API_URL = world.daytona_url
    daytona.reset()
    settle(stop)
    assert stop.status == "succeeded"


def test_throttled_calls_are_waited_out_past_any_deadline(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    """Looks have a limit of their own at Daytona, so that they may go on being answered."""
    sandbox = running()
    headers = {"Retry-After-sandbox-lifecycle": "8"}
    world.faults.add(
        "status", path="/stop$", **error(429, "ThrottlerException: Too Many Requests", headers=headers)
    )
    stop = ask(sandbox, Action.STOP)
    for _ in range(20):
        pass_time(8)
    stop.refresh_from_db()
    assert stop.is_active
    assert "throttles" in stop.step
    world.faults.clear()
    daytona.reset()
    settle(stop)
    assert stop.status == "succeeded"


def test_a_bad_key_is_one_notice_and_no_storm(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    sandboxes = [running(), running()]
    settings.DAYTONA_API_KEY = "dtn_wrong"
    daytona.reset()
    before = sum(world.counts()["daytona"].values())
    stops = [ask(sandbox, Action.STOP) for sandbox in sandboxes]
    for _ in range(10):
        for stop in stops:
            lifecycle.attempt(stop.pk)
    assert sum(world.counts()["daytona"].values()) == before + 1
    notice = Notice.objects.get(closed_at=None)
    assert notice.code == "daytona_unauthorized"
    assert "DAYTONA_API_KEY" in notice.remedy
    assert "dtn_wrong" not in notice.message
    settings.DAYTONA_API_KEY = world.daytona_key
    daytona.reset()
    settle()
    assert {reload(sandbox.pk).status for sandbox in sandboxes} == {"stopped"}
    assert not Notice.objects.filter(closed_at=None).exists()


def test_a_look_that_is_refused_is_one_notice_and_no_storm(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    number = world.faults.add("status", method="GET", path="/sandbox/", **error(403, "Not for you today"))
    stop = ask(sandbox, Action.STOP)
    for _ in range(3):
        lifecycle.attempt(stop.pk)
    assert world.faults.hits(number) == 3
    notice = Notice.objects.get()
    assert (notice.code, notice.closed_at, notice.count) == ("unknown_answer", None, 3)
    assert "Not for you today" in notice.message
    stop.refresh_from_db()
    assert "refuses to show it" in stop.step
    pass_time(600)
    world.faults.remove(number)
    settle(stop)
    assert stop.status == "succeeded"


def test_a_refusal_that_stands_fails_with_daytonas_words(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    world.faults.add("status", path="/stop$", **error(422, "Stopping is not supported today"))
    stop = do(sandbox, Action.STOP)
    assert (stop.status, stop.code, stop.message) == (
        "failed",
        "daytona_rejected",
        "Stopping is not supported today",
    )


def test_a_delete_that_is_refused_each_time_is_one_that_is_stuck(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    world.faults.add("status", method="DELETE", **error(403, "Not for you today"))
    ask(sandbox, Action.DELETE)
    for _ in range(3):
        settle()
        pass_time(250)
    settle()
    assert sandbox.operations.filter(action="delete", status="failed").count() > 2
    assert [row.pk for row in Sandbox.objects.stuck(clock.now())] == [sandbox.pk]


def test_a_refusal_that_was_overtaken_is_settled_by_observing(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    settings.ATTEMPT_SECONDS = 0.0
    sandbox = running()
    do(sandbox, Action.STOP)
    start = ask(sandbox, Action.START)
    world.faults.add("status", path="/start$", times=1, **error(422, "Sandbox is not in valid state"))
    lifecycle.attempt(start.pk)
    world.change(str(sandbox.daytona_id), state="started", desiredState="started")
    settle(start)
    assert start.status == "succeeded"


def test_a_refusal_for_a_state_that_a_cached_get_hides_is_waited_out(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    settings.READ_CACHE_SECONDS = 3.0
    sandbox = running()
    shown = blocking.run(daytona.gateway().get(str(sandbox.daytona_id)))
    world.change(str(sandbox.daytona_id), state="stopped", desiredState="stopped")
    world.faults.add(
        "status", method="GET", path=f"/sandbox/{sandbox.daytona_id}$", status=200, times=4,
        answer={"id": shown.id, "state": "started", "desiredState": "started", "labels": dict(shown.labels)},
    )  # fmt: skip
    stop = do(sandbox, Action.STOP)
    assert stop.status == "succeeded"
    assert stop.calls.earliest("id").message


def test_a_full_disk_quota_is_final(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    world.settings(archive=0.05)
    do(sandbox, Action.ARCHIVE)
    world.settings(quota={"cpu": 10, "memory": 10, "disk": 2, "gpu": 0})
    start = do(sandbox, Action.START)
    assert (start.status, start.code) == ("failed", "disk_quota_full")
    assert "Total disk limit exceeded" in start.message


def test_a_recovery_too_soon_says_so(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    world.change(str(sandbox.daytona_id), state="error", errorReason="x", recoverable=True)
    world.faults.add(
        "status", path="/recover$", times=1,
        **error(409, "Sandbox recovery has been attempted recently. Please try again later"),
    )  # fmt: skip
    assert do(sandbox, Action.RECOVER).code == "recovery_cooldown"


def test_a_word_nobody_knows_keeps_the_status_and_tells_staff(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    world.faults.add(
        "status", method="GET", path=f"/sandbox/{sandbox.daytona_id}$", status=200, times=1,
        answer={**(world.sandbox(str(sandbox.daytona_id)) or {}), "id": sandbox.daytona_id, "state": "hibernating"},
    )  # fmt: skip
    do(sandbox, Action.SYNC)
    row = reload(sandbox.pk)
    assert (row.status, row.observed_state) == ("running", "hibernating")
    assert "hibernating" in Notice.objects.get(code="unknown_state").message


def test_a_stop_that_failed_is_issued_again_until_it_is_met(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    number = world.faults.add("status", path="/stop$", **error(422, "not today"))
    assert do(sandbox, Action.STOP).status == "failed"
    assert reload(sandbox.pk).intent == "stopped"
    world.faults.remove(number)
    pass_time(1)
    settle()
    row = reload(sandbox.pk)
    assert row.status == "stopped"
    assert row.operations.order_by("-created_at").first().actor_id == "intent"  # type: ignore[union-attr]
    assert (row.intent_actor_kind, row.intent_actor_id) == ("owner", "alice")


def test_an_observation_from_before_the_wish_does_not_meet_it(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    do(sandbox, Action.STOP)
    ask(sandbox, Action.START)
    world.change(str(sandbox.daytona_id), state="started", desiredState="started")
    number = world.faults.add("status", path="/stop$", **error(422, "not today"))
    assert do(sandbox, Action.STOP).status == "failed"
    assert reload(sandbox.pk).intent_met_at is None
    world.faults.remove(number)
    pass_time(1)
    settle()
    assert reload(sandbox.pk).status == "stopped"


def test_a_start_that_failed_is_the_persons_to_repeat(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    do(sandbox, Action.STOP)
    world.faults.add("status", path="/start$", **error(422, "not today"))
    do(sandbox, Action.START)
    for _ in range(5):
        pass_time(5)
    assert sandbox.operations.count() == 3


def test_an_archive_that_never_ends_fails_after_its_hour_and_a_start_gets_it_out(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    assert settings.DEADLINES["archive"] == 3600
    settings.DEADLINES = settings.DEADLINES | {"archive": 300}
    sandbox = running()
    world.settings(archive=10_000)
    archive = ask(sandbox, Action.ARCHIVE)
    lifecycle.attempt(archive.pk)
    for _ in range(50):
        pass_time(10)
        archive.refresh_from_db()
        if not archive.is_active:
            break
    assert (archive.status, archive.code) == ("failed", "timeout")
    assert do(sandbox, Action.START).status == "succeeded"


def test_a_start_that_never_answers_ends_when_daytona_gives_up(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    do(sandbox, Action.STOP)
    world.settings(hold=0.1, start_timeout=1.0)
    world.faults.add("host", operation="start", never=True, times=1)
    start = do(sandbox, Action.START)
    assert start.code == "sandbox_unrecoverable"
    assert reload(sandbox.pk).status == "error"
