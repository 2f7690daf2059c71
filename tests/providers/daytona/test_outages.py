"""Daytona's outages: what they look like from here, and that none is mistaken for an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes.providers.daytona.gateway import NotFound, Unknown
from sandboxes.providers.protocols import SandboxSpec
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.providers.daytona.conftest import NewGateway
    from tests.support.emulator import Emulator
    from tests.support.gateway import BlockingGateway

HTML = "<html><body>502 Bad Gateway</body></html>"


def lost(call: object, *arguments: object) -> Unknown:
    with pytest.raises(Unknown) as raised:
        call(*arguments)  # type: ignore[operator]
    assert not raised.value.outcome_known
    assert not raised.value.outcome_known
    return raised.value


def test_with_its_database_down_daytona_denies_a_living_sandbox(
    gateway: BlockingGateway, emulator: Emulator
) -> None:
    [key] = emulator.seed([{}])
    emulator.settings(database="down")
    with pytest.raises(NotFound):
        gateway.get(key)
    assert lost(gateway.stop, key).status == 404
    assert lost(gateway.list_page).status == 500
    emulator.advance(10)  # the cached keys expire
    assert lost(gateway.get, key).status == 503
    emulator.settings(database="up")
    assert gateway.get(key).id == key


def test_with_redis_down_calls_hang_and_run_later(
    gateway: BlockingGateway, new_gateway: NewGateway, emulator: Emulator
) -> None:
    [key] = emulator.seed([{}])
    emulator.settings(redis="down")
    assert lost(new_gateway(read_timeout=0.2).stop, key).status is None
    assert emulator.log(action="stop") == []
    emulator.settings(redis="up")
    wait_until(lambda: gateway.get(key).state == "stopped", what="a stop that was given up on")


def test_a_start_that_daytona_holds_open_ends_here_and_goes_on_there(
    gateway: BlockingGateway, new_gateway: NewGateway, emulator: Emulator
) -> None:
    emulator.settings(transition=60.0)
    [key] = emulator.seed([{"state": "stopped"}])
    lost(new_gateway(read_timeout=0.2).start, key)
    wait_until(lambda: gateway.get(key).state == "starting", what="the start")
    emulator.advance(60)
    wait_until(lambda: gateway.get(key).state == "started", what="the start that went on")
    assert len(emulator.log(action="start")) == 1


def test_a_create_that_daytona_holds_open_is_found_by_its_name(
    gateway: BlockingGateway, new_gateway: NewGateway, emulator: Emulator
) -> None:
    emulator.settings(transition=1.0)
    lost(new_gateway(read_timeout=0.2).create, SandboxSpec(name="alpha"))
    wait_until(lambda: emulator.log(action="create"), what="the create")
    assert gateway.get("alpha").name == "alpha"


def test_a_call_that_is_dropped_before_it_runs(gateway: BlockingGateway, emulator: Emulator) -> None:
    [key] = emulator.seed([{}])
    fault = emulator.faults.add("drop_before", method="POST", path="/stop")
    assert lost(gateway.stop, key).dropped
    assert emulator.faults.hits(fault) == 1
    assert gateway.get(key).state == "started"


def test_a_call_that_is_dropped_after_it_ran(gateway: BlockingGateway, emulator: Emulator) -> None:
    [key] = emulator.seed([{}])
    fault = emulator.faults.add("drop_after", method="POST", path="/stop")
    assert lost(gateway.stop, key).dropped
    assert emulator.faults.hits(fault) == 1
    assert len(emulator.log(action="stop")) == 1


def test_a_call_that_hangs_and_runs_later(new_gateway: NewGateway, emulator: Emulator) -> None:
    [key] = emulator.seed([{}])
    emulator.faults.add("hang", path="/stop", execute_after=0.3)
    lost(new_gateway(read_timeout=0.1).stop, key)
    wait_until(lambda: emulator.log(action="stop"), what="the stop that ran late")


def test_the_api_is_killed_in_the_middle_of_a_start(emulator: Emulator, gateway: BlockingGateway) -> None:
    """Recording 15_outages: the connection is dropped and the start completes all the same."""
    [key] = emulator.seed([{"state": "stopped"}])
    emulator.faults.add("drop_after", path="/start")
    lost(gateway.start, key)
    wait_until(lambda: gateway.get(key).state == "started", what="the start that completed")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("answer", [HTML, {"statusCode": 500, "message": "An unexpected error occurred."}])
def test_a_failure_of_a_server_leaves_the_outcome_open(
    gateway: BlockingGateway, emulator: Emulator, status: int, answer: object
) -> None:
    [key] = emulator.seed([{}])
    fault = emulator.faults.add("status", path=f"/{key}", status=status, answer=answer)
    assert lost(gateway.stop, key).status == status
    assert emulator.faults.hits(fault) == 1
    assert lost(gateway.get, key).status == status


def test_a_proxy_that_fails_once_does_not_fail_a_read(gateway: BlockingGateway, emulator: Emulator) -> None:
    [key] = emulator.seed([{}])
    fault = emulator.faults.add("status", path=f"/{key}$", status=502, answer=HTML, times=1)
    assert gateway.get(key).id == key
    assert emulator.faults.hits(fault) == 1


def test_a_success_that_cannot_be_read_leaves_the_outcome_open(
    gateway: BlockingGateway, emulator: Emulator
) -> None:
    [key] = emulator.seed([{}])
    emulator.faults.add("status", path="/stop", status=200, answer=HTML, execute=True)
    assert lost(gateway.stop, key).status == 200
    assert len(emulator.log(action="stop")) == 1


def test_connections_that_the_server_cut_are_replaced(gateway: BlockingGateway, emulator: Emulator) -> None:
    [key] = emulator.seed([{}])
    gateway.get(key)
    emulator.stop()
    emulator.start()
    [key] = emulator.seed([{}])
    assert gateway.get(key).id == key
    assert gateway.stop(key).state == "stopping"


def test_while_the_api_is_down_nothing_is_sent(gateway: BlockingGateway, emulator: Emulator) -> None:
    [key] = emulator.seed([{}])
    emulator.stop()
    try:
        with pytest.raises(Unknown) as raised:
            gateway.stop(key)
        assert not raised.value.sent
        assert raised.value.outcome_known
    finally:
        emulator.start()
