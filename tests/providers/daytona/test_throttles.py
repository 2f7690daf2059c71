"""What Daytona asked to be left alone with rests, for all threads of the process, and nothing else does."""

from __future__ import annotations

import email.utils
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.providers.daytona.gateway import RateLimited, Unknown
from sandboxes.providers.daytona.throttle import DEFAULT_REST, LONGEST_REST, Resting, retry_after
from sandboxes.providers.protocols import SandboxSpec
from tests.providers.daytona.scripted import answer, scripted

if TYPE_CHECKING:
    from tests.providers.daytona.conftest import NewGateway
    from tests.support.emulator import Emulator
    from tests.support.gateway import BlockingGateway

LONG = {"limit": 1, "window": 600}


def calls(emulator: Emulator) -> int:
    return sum(emulator.counts()["daytona"].values())


def exhaust(gateway: BlockingGateway, emulator: Emulator, bucket: str, key: str) -> RateLimited:
    emulator.settings(throttles={bucket: LONG})
    change = {
        "authenticated": lambda: gateway.get(key),
        "sandbox-create": lambda: gateway.create(SandboxSpec(name=f"new-{datetime.now(UTC).timestamp()}")),
        "sandbox-lifecycle": lambda: gateway.start(key),
    }[bucket]
    change()
    with pytest.raises(RateLimited) as raised:
        change()
    return raised.value


@pytest.mark.parametrize("bucket", ["authenticated", "sandbox-create", "sandbox-lifecycle"])
def test_a_bucket_that_daytona_closed_rests_and_the_others_do_not(
    gateway: BlockingGateway, emulator: Emulator, bucket: str
) -> None:
    [key] = emulator.seed([{}])
    error = exhaust(gateway, emulator, bucket, key)
    assert (error.bucket, error.status) == (bucket, 429)
    assert 595 < error.retry_after <= 600
    assert error.outcome_known
    before = calls(emulator)
    closed = {
        "authenticated": (gateway.list_page, lambda: gateway.get(key), lambda: gateway.keep_alive(key)),
        "sandbox-create": (lambda: gateway.create(SandboxSpec(name="beta")),),
        "sandbox-lifecycle": (lambda: gateway.stop(key), lambda: gateway.delete(key), lambda: gateway.archive(key)),
    }
    for call in closed.pop(bucket):
        with pytest.raises(RateLimited) as raised:
            call()
        assert raised.value.bucket == bucket
        assert 590 < raised.value.retry_after <= 600
        assert raised.value.status is None
    assert calls(emulator) == before
    for others in closed.values():
        others[0]()
    assert calls(emulator) == before + 2


def test_a_bucket_that_has_rested_is_open_again(stopped_clock: None) -> None:
    resting = Resting(unauthorized_pause=60)
    resting.throttle("sandbox-lifecycle", 10)
    assert resting.throttled("start") == (10, "sandbox-lifecycle")
    clock.move(9.5)
    assert resting.throttled("stop") == (0.5, "sandbox-lifecycle")
    assert resting.throttled("create")[0] == 0
    clock.move(0.5)
    assert resting.throttled("stop")[0] == 0


def test_a_shorter_rest_does_not_end_a_longer_one(stopped_clock: None) -> None:
    resting = Resting(unauthorized_pause=60)
    resting.throttle("authenticated", 10)
    resting.throttle("authenticated", 1)
    assert resting.throttled("get")[0] == 10


def test_a_rest_is_over_when_daytona_says_so(new_gateway: NewGateway) -> None:
    sandbox = answer(200, {"id": "x"})
    limited = answer(429, {"message": "later"}, headers={"Retry-After-authenticated": "0"})
    with scripted(limited, sandbox) as server:
        gateway = new_gateway(api_url=server.url)
        with pytest.raises(RateLimited):
            gateway.get("x")
        assert gateway.get("x").id == "x"


@pytest.mark.parametrize("name", ["Retry-After", "retry-after", "RETRY-AFTER"])
def test_a_plain_retry_after_closes_everything(new_gateway: NewGateway, name: str) -> None:
    with scripted(answer(429, {"message": "later"}, headers={name: "30"})) as server:
        gateway = new_gateway(api_url=server.url)
        with pytest.raises(RateLimited) as raised:
            gateway.get("x")
        assert (raised.value.bucket, raised.value.retry_after) == ("all", 30)
        for call in (
            gateway.start,
            gateway.get,
            gateway.keep_alive,
            lambda _: gateway.create(SandboxSpec(name="a")),
        ):
            with pytest.raises(RateLimited):
                call("x")
        assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("headers", "operation", "seconds", "bucket"),
    [
        ({"Retry-After-authenticated": "10"}, "get", 10, "authenticated"),
        ({"retry-after-sandbox-lifecycle": "7.5"}, "stop", 7.5, "sandbox-lifecycle"),
        ({"Retry-After-SANDBOX-CREATE": "3"}, "create", 3, "sandbox-create"),
        ({"Retry-After-sandbox-list": "3"}, "list_page", 3, "sandbox-list"),
        ({"Retry-After-new-one": "3"}, "start", 3, "sandbox-lifecycle"),
        ({"Retry-After": "4", "Retry-After-sandbox-create": "3"}, "create", 3, "sandbox-create"),
        ({"Retry-After": "4"}, "create", 4, "all"),
        ({"Retry-After": "soon"}, "create", DEFAULT_REST, "all"),
        ({"Retry-After": "-1"}, "create", DEFAULT_REST, "all"),
        ({"Retry-After": "nan"}, "create", DEFAULT_REST, "all"),
        ({"Retry-After": "1e9"}, "create", LONGEST_REST, "all"),
        ({}, "create", DEFAULT_REST, "sandbox-create"),
        ({}, "replace_labels", DEFAULT_REST, "authenticated"),
    ],
)
def test_how_long_and_what_rests(headers: dict[str, str], operation: str, seconds: float, bucket: str) -> None:
    assert retry_after(headers, operation) == (seconds, bucket)


def test_a_proxy_may_give_the_time_instead_of_the_seconds() -> None:
    date = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    seconds, bucket = retry_after({"Retry-After": date}, "get")
    assert 95 < seconds <= 100
    assert bucket == "all"


def test_the_list_has_a_bucket_of_its_own_at_the_hosted_service(new_gateway: NewGateway) -> None:
    limited = answer(429, {"message": "later"}, headers={"Retry-After-sandbox-list": "30"})
    with scripted(limited, answer(200, {"id": "x"})) as server:
        gateway = new_gateway(api_url=server.url)
        for _ in range(2):
            with pytest.raises(RateLimited):
                gateway.list_page()
        assert gateway.get("x").id == "x"
        assert len(server.seen) == 2


def test_an_outage_closes_nothing(new_gateway: NewGateway) -> None:
    """Only a 429 is a request to be left alone."""
    with scripted(answer(503, {"message": "no"}, headers={"Retry-After": "30"})) as server:
        gateway = new_gateway(api_url=server.url)
        for _ in range(2):
            with pytest.raises(Unknown):
                gateway.stop("x")
        assert len(server.seen) == 2
