"""What becomes of a delivery, by what its receiver answered."""

from __future__ import annotations

from typing import Any

import pytest

from sandboxes.core.deliveries import FIRST_PAUSE, LONGEST_PAUSE, DeliveryVerdict, Patience, Reply, judge

DAY = 86400.0
PATIENCE = Patience(delivery=DAY, receiver=3 * DAY)


def judged(reply: Reply, **fields: Any) -> DeliveryVerdict:
    values: dict[str, Any] = {"attempt": 0, "age": 0.0, "failing_for": 0.0, "patience": PATIENCE, "jitter": 0.5}
    return judge(reply, **(values | fields))


@pytest.mark.parametrize(
    ("reply", "is_success"),
    [
        (Reply(200), True),
        (Reply(299), True),
        (Reply(199), False),
        (Reply(300), False),
        (Reply(), False),
        (Reply(is_taken=True), True),
        (Reply(problem="no answer"), False),
    ],
)
def test_what_was_taken(reply: Reply, is_success: bool) -> None:
    assert reply.is_success is is_success
    assert (judged(reply) == DeliveryVerdict()) is is_success


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(), ""),
        (Reply(problem="no answer"), "no answer"),
        (Reply(500, problem="cut off"), "cut off"),
        (Reply(299), "HTTP 299"),
        (Reply(300), "HTTP 300: redirects are not followed"),
        (Reply(399), "HTTP 399: redirects are not followed"),
        (Reply(400), "HTTP 400"),
    ],
)
def test_the_error_for_people(reply: Reply, error: str) -> None:
    assert reply.error == error


def test_the_pauses_grow_up_to_an_hour() -> None:
    pauses = [judged(Reply(500), attempt=attempt, jitter=1.0).again_in or 0.0 for attempt in (0, 1, 30)]
    assert pauses == [FIRST_PAUSE, 2 * FIRST_PAUSE, LONGEST_PAUSE] == [10, 20, 3600]


@pytest.mark.parametrize(("asked", "expected"), [(1.0, 10.0), (60.0, 60.0), (1e6, 3600.0)])
def test_a_receiver_may_ask_for_a_longer_pause_but_not_beyond_an_hour(asked: float, expected: float) -> None:
    assert judged(Reply(503, retry_after=asked), jitter=1.0).again_in == expected


@pytest.mark.parametrize(("age", "is_dead"), [(DAY - 1, False), (DAY, True)])
def test_it_is_given_up_after_a_day(age: float, is_dead: bool) -> None:
    verdict = judged(Reply(500), age=age)
    assert (verdict.is_dead, verdict.again_in is None, verdict.disable) == (is_dead, is_dead, "")


def test_410_wants_no_more_and_the_delivery_waits_for_who_enables_it_again() -> None:
    verdict = judged(Reply(410), age=2 * DAY, failing_for=9 * DAY)
    assert verdict.disable == "It answered 410 Gone: it wants no more deliveries."
    assert (verdict.is_dead, verdict.again_in is None) == (False, False)


@pytest.mark.parametrize(("failing_for", "is_disabled"), [(3 * DAY - 1, False), (3 * DAY, True)])
def test_a_receiver_that_takes_nothing_for_long_is_disabled(failing_for: float, is_disabled: bool) -> None:
    said = "It took no delivery for 3 days; the last error: HTTP 500." if is_disabled else ""
    assert judged(Reply(500), failing_for=failing_for).disable == said
