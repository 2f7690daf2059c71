"""A key that Daytona refuses: one call, then silence, because bad keys lock the whole address out."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.providers.daytona.gateway import Busy, DaytonaError, NotConfigured, RateLimited, Unauthorized
from sandboxes.providers.daytona.throttle import PROBE_SECONDS, Resting
from tests.providers.daytona.scripted import answer, scripted
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.providers.daytona.conftest import NewGateway
    from tests.support.emulator import Emulator


def calls(emulator: Emulator) -> int:
    return sum(emulator.counts()["daytona"].values())


def test_after_a_refused_key_no_call_leaves(new_gateway: NewGateway, emulator: Emulator) -> None:
    gateway = new_gateway(api_key="dtn_wrong")
    with pytest.raises(Unauthorized) as raised:
        gateway.get("x")
    assert (raised.value.status, raised.value.retry_after) == (401, 60)
    assert raised.value.outcome_known
    for call in (gateway.get, gateway.start, gateway.delete, gateway.keep_alive):
        with pytest.raises(Unauthorized) as raised:
            call("x")
        assert raised.value.status is None
        assert 55 < raised.value.retry_after <= 60
    assert calls(emulator) == 1


def test_the_pause_is_a_setting(new_gateway: NewGateway) -> None:
    gateway = new_gateway(api_key="dtn_wrong", unauthorized_pause=5)
    with pytest.raises(Unauthorized) as raised:
        gateway.get("x")
    assert raised.value.retry_after == 5


def after_the_pause(call: Callable[[], object]) -> object:
    """What the first call that leaves again returns or raises."""

    def let_through() -> list[object]:
        try:
            return [call()]
        except Unauthorized:
            return []
        except DaytonaError as error:
            return [error]

    return wait_until(let_through, what="a call that leaves")[0]


def test_a_key_that_was_mended_works_after_the_pause(new_gateway: NewGateway, emulator: Emulator) -> None:
    [key] = emulator.seed([{}])
    gateway = new_gateway(api_key="dtn_late", unauthorized_pause=0.5)
    with pytest.raises(Unauthorized):
        gateway.get(key)
    keys = emulator.settings()["keys"]
    emulator.settings(keys=keys | {"dtn_late": keys[emulator.daytona_key]})
    after_the_pause(lambda: gateway.get(key))
    assert gateway.get(key).id == key


def test_after_the_pause_one_call_asks_and_the_others_wait_for_its_answer(stopped_clock: None) -> None:
    resting = Resting(unauthorized_pause=60)
    resting.refuse()
    clock.move(59)
    assert resting.refused() == pytest.approx(1)
    clock.move(1)
    assert resting.refused() == 0
    assert resting.refused() == pytest.approx(PROBE_SECONDS)
    resting.refuse()
    assert resting.refused() == pytest.approx(60)
    resting.accept()
    assert resting.refused() == 0
    assert resting.refused() == 0


def test_any_other_refusal_shows_that_the_key_is_good(new_gateway: NewGateway) -> None:
    unauthorized = answer(401, {"message": "Invalid credentials"})
    busy = answer(409, {"message": "Sandbox state change in progress"})
    with scripted(unauthorized, busy, answer(200, {"id": "x"})) as server:
        gateway = new_gateway(api_url=server.url, unauthorized_pause=0.5)
        with pytest.raises(Unauthorized):
            gateway.stop("x")
        assert isinstance(after_the_pause(lambda: gateway.stop("x")), Busy)
        assert gateway.get("x").id == "x"


def test_the_lockout_of_the_address_stops_every_call(new_gateway: NewGateway, emulator: Emulator) -> None:
    """Recording 14_throttle: after too many bad keys good ones get 429 with a plain Retry-After."""
    emulator.settings(throttles={"failed-auth": {"limit": 1, "window": 300}})
    with pytest.raises(RateLimited):
        new_gateway(api_key="dtn_wrong").get("x")
    good = new_gateway()
    with pytest.raises(RateLimited) as raised:
        good.get("x")
    assert (raised.value.bucket, raised.value.status) == ("all", 429)
    assert 290 < raised.value.retry_after <= 300
    before = calls(emulator)
    with pytest.raises(RateLimited):
        good.start("x")
    assert calls(emulator) == before


def test_many_threads_with_a_bad_key_soon_stop(new_gateway: NewGateway, emulator: Emulator) -> None:
    gateway = new_gateway(api_key="dtn_wrong")
    ready = threading.Barrier(16)
    seen: list[type[Exception]] = []

    def knock() -> None:
        ready.wait()
        for _ in range(20):
            try:
                gateway.get("x")
            except Exception as error:
                seen.append(type(error))

    threads = [threading.Thread(target=knock) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(seen) == {Unauthorized}
    assert len(seen) == 320
    assert calls(emulator) <= 16


@pytest.mark.parametrize("key", ["", "  ", "dtn_\nX", "dtn_ü", "dtn_\x00"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_quoted(new_gateway: NewGateway, key: str) -> None:
    with pytest.raises(NotConfigured) as raised:
        new_gateway(api_key=key)
    assert "DAYTONA_API_KEY" in raised.value.message
    assert "dtn_" not in raised.value.message


def test_white_space_around_a_key_does_no_harm(new_gateway: NewGateway, emulator: Emulator) -> None:
    [key] = emulator.seed([{}])
    assert new_gateway(api_key=f" {emulator.daytona_key}\n").get(key).id == key
