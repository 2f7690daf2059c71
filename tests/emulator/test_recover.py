"""Recoveries: from a backup once an hour, in place twice in a sandbox's life."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.wire import Wire, message
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

FULL: dict[str, Any] = {
    "state": "error",
    "desiredState": "started",
    "errorReason": "no space left on device",
    "recoverable": True,
}


def test_recovering_from_a_backup_is_refused_twice_an_hour(emulator: Emulator, wire: Wire) -> None:
    broken: dict[str, Any] = {
        "state": "error",
        "errorReason": "Timeout while starting sandbox",
        "recoverable": True,
    }
    (key,) = emulator.seed(count=1, backupState="Completed", **broken)
    assert wire.post(key, "recover").json()["state"] == "started"
    emulator.change(key, desiredState="started", **broken)
    emulator.change(key, backupState="Completed")
    answer = wire.post(key, "recover")
    assert answer.status_code == 409
    assert "attempted recently" in message(answer)
    emulator.advance(3600)
    assert wire.post(key, "recover").status_code == 200


def test_a_second_recover_meets_the_first(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1, state="error", errorReason="full", recoverable=True)
    emulator.settings(transition=20)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(wire.post, key, "recover")
        wait_until(lambda: emulator.log(action="recover"), what="the first recover")
        assert wire.post(key, "recover").status_code == 409
        emulator.advance(21)
        emulator.advance(21)
        assert first.result().json()["state"] == "started"


def test_a_recovery_that_fails_leaves_the_error_as_it_was(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1, **FULL)
    emulator.faults.add("host", operation="recover", error="another reason", times=1)
    answer = wire.post(key, "recover")
    assert (answer.status_code, message(answer)) == (500, "An unexpected error occurred.")
    assert {name: wire.get(key).json()[name] for name in FULL} == FULL
    assert wire.post(key, "recover").json()["state"] == "started"


def test_a_start_that_fails_after_the_recovery(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1, **FULL)
    emulator.faults.add("host", operation="start", error=FULL["errorReason"], recoverable=True, times=1)
    answer = wire.post(key, "recover")
    assert (answer.status_code, message(answer)) == (400, "Sandbox failed to start: no space left on device")
    assert {name: wire.get(key).json()[name] for name in FULL} == FULL


def test_storage_is_expanded_twice_and_then_never_again(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1, disk=3, **FULL)
    emulator.faults.add("host", operation="start", error=FULL["errorReason"], recoverable=True)
    assert [wire.post(key, "recover").status_code for _ in range(4)] == [400, 400, 403, 403]
    text = "Sandbox storage cannot be further expanded. Maximum expansion of 0.30GB (10% of original 3.00GB)"
    assert message(wire.post(key, "recover")).startswith(text)
    assert {name: wire.get(key).json()[name] for name in FULL} == FULL
    assert len(emulator.log(action="recover")) == 2


@pytest.mark.parametrize(("stale", "shown"), [(True, "error"), (False, "stopped")])
def test_a_recovery_without_a_start_answers_with_an_old_row_or_a_new_one(
    emulator: Emulator, wire: Wire, stale: bool, shown: str
) -> None:
    (key,) = emulator.seed(count=1, **FULL)
    emulator.settings(recover_stale=stale)
    assert wire.post(key, "recover?skipStart=true").json()["state"] == shown
    wire.until(key, "stopped")
