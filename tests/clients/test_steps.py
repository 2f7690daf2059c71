"""What the Python client sends, when again, and what an answer means: without a socket or a clock."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sandkeeper_client import errors, steps

from sandboxes.core.codes import MEANINGS, Code

STOP = steps.Ask("POST", "/sandboxes/x/stop", body={})
LOST = httpx.ReadTimeout("no answer")


def answer(status: int, body: Any = None, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=body, headers={name.replace("_", "-"): v for name, v in headers.items()})


def problem(code: str, **headers: str) -> httpx.Response:
    status = MEANINGS[Code(code)].status
    return answer(status, {"code": code, "status": status, "detail": "why", "remedy": "what"}, **headers)


def driven(course: steps.Course[Any], *outcomes: Any) -> tuple[Any, list[steps.Ask], list[float]]:
    """Its end (the error, if it is one), all that it asked, and its pauses."""
    left = list(outcomes)
    asked: list[steps.Ask] = []
    pauses: list[float] = []
    came: Any = None
    while True:
        try:
            step = course.send(came)
        except StopIteration as end:
            return end.value, asked, pauses
        except errors.SandkeeperError as error:
            return error, asked, pauses
        came = None
        if isinstance(step, steps.Pause):
            pauses.append(step.seconds)
        else:
            asked.append(step)
            came = left.pop(0)


@pytest.mark.parametrize(
    "not_now",
    [LOST, answer(502), problem("rate_limited"), problem("internal_error"), problem("database_unavailable"),
     problem("request_in_progress"), problem("request_timeout")],
)  # fmt: skip
def test_what_may_have_been_lost_is_asked_again_with_the_same_key(not_now: Any) -> None:
    end, asked, pauses = driven(steps.call(STOP, retries=4), not_now, not_now, answer(202, {"id": "op"}))
    assert end == {"id": "op"}
    assert len({ask.idempotency_key for ask in asked}) == 1
    assert asked[0].idempotency_key
    assert pauses == sorted(pauses), "later and later"


@pytest.mark.parametrize(
    "final",
    ["sandbox_stopped_by_user", "invalid_request", "invalid_token", "daytona_rejected", "capacity_exhausted"],
)
def test_what_will_not_change_by_itself_is_not_asked_again(final: str) -> None:
    end, asked, _ = driven(steps.call(STOP, retries=4), problem(final))
    assert (end.code, end.detail, end.remedy, len(asked)) == (final, "why", "what", 1)


def test_it_is_asked_no_more_often_than_was_said() -> None:
    end, asked, _ = driven(steps.call(STOP, retries=2), LOST, LOST, LOST)
    assert isinstance(end, errors.Unreachable)
    assert len(asked) == 3


def test_retry_after_is_heeded_and_too_long_a_one_is_the_callers() -> None:
    _, _, pauses = driven(steps.call(STOP, retries=1), problem("rate_limited", Retry_After="7"), answer(200, {}))
    assert pauses == [7.0]
    end, asked, _ = driven(steps.call(STOP, retries=1), problem("operation_budget_spent", Retry_After="1800"))
    assert (type(end), end.retry_after, len(asked)) == (errors.NotNow, 1800.0, 1)


def test_a_change_with_if_match_is_not_repeated_when_its_answer_was_lost() -> None:
    change = steps.Ask("PATCH", "/sandboxes/x", body={}, if_match='"etag"')
    assert driven(steps.call(change, retries=4), LOST)[1:] == ([change], [])
    end, asked, _ = driven(steps.call(change, retries=4), problem("rate_limited"), answer(200, {"id": "x"}))
    assert (end, len(asked)) == ({"id": "x"}, 2), "a refusal has changed nothing"


def test_a_key_of_the_caller_is_kept() -> None:
    ask = steps.Ask("POST", "/sandboxes", body={}, idempotency_key="run 7", wait=20)
    _, (asked,), _ = driven(steps.call(ask, retries=0), answer(202, {}))
    assert asked.headers == {"Prefer": "wait=20", "Idempotency-Key": "run 7"}
    assert asked.timeout > 20


def ensured(*outcomes: Any, patience: float = 60, step: float = 0.0) -> tuple[Any, list[steps.Ask], list[float]]:
    now = iter(step * count for count in range(100))
    course = steps.ensure_running("a/b", reason="", patience=patience, retries=2, clock=lambda: next(now))
    return driven(course, *outcomes)


WAITED = {"Preference_Applied": "wait=30"}


def test_ensure_running_asks_until_it_runs() -> None:
    end, asked, pauses = ensured(answer(202, {}, **WAITED), answer(202, {}), answer(200, {"status": "running"}))
    assert end == {"status": "running"}
    assert {ask.path for ask in asked} == {"/sandboxes/a%2Fb/ensure-running"}
    assert {ask.idempotency_key for ask in asked} == {None}, "an answer from before would be given again"
    assert pauses == [1.0], "only where the server had no place for who waits"


def test_ensure_running_asks_again_for_what_may_go_well_the_next_time() -> None:
    end, asked, _ = ensured(problem("superseded"), problem("daytona_rejected"), answer(200, {"id": "x"}))
    assert (end, len(asked)) == ({"id": "x"}, 3)
    end, asked, _ = ensured(problem("superseded"), problem("superseded"), problem("superseded"))
    assert (type(end), len(asked)) == (errors.Overtaken, 3)


def test_ensure_running_never_overrules_a_person() -> None:
    end, asked, pauses = ensured(problem("sandbox_stopped_by_user"))
    assert (type(end), len(asked), pauses) == (errors.PersonSaidNo, 1, [])


def test_patience_ends() -> None:
    end, asked, _ = ensured(*[answer(202, {}, **WAITED)] * 9, step=25)
    assert (type(end), end.code) == (errors.NotNow, "timeout")
    assert [ask.wait for ask in asked] == [30.0, 10.0, 0.0]
    now = iter(range(0, 900, 25))
    course = steps.until_ended("op", patience=60, retries=0, clock=lambda: next(now))
    end, asked, _ = driven(course, *[answer(200, {"status": "in_progress"}, **WAITED)] * 9)
    assert (end.code, len(asked)) == ("timeout", 3)


def test_waiting_ends_with_the_operation_or_the_error_of_its_code() -> None:
    def until(*outcomes: Any) -> Any:
        return driven(steps.until_ended("op", patience=60, retries=0, clock=lambda: 0.0), *outcomes)[0]

    going_on, ended = answer(200, {"status": "queued"}, **WAITED), answer(200, {"status": "succeeded"})
    assert until(going_on, ended) == {"status": "succeeded"}
    assert isinstance(until(going_on, problem("quota_too_small")), errors.NoRoom)


def test_every_code_has_the_family_that_tells_what_to_do() -> None:
    families = {code: errors.family_of(code, MEANINGS[code].status) for code in Code}
    assert families[Code.SANDBOX_STOPPED_BY_USER] is errors.PersonSaidNo
    assert families[Code.SANDBOX_GONE] is families[Code.SANDBOX_NOT_FOUND] is errors.NotFound
    assert families[Code.TIMEOUT] is errors.DaytonaFailed
    assert families[Code.SANDBOX_CREATING] is errors.Conflict
    named = {code for codes in errors.OF_CODES.values() for code in codes}
    assert named <= {code.value for code in Code}, "a code that there is not"
    assert errors.family_of("of_tomorrow", 409) is errors.Conflict
    assert errors.family_of("of_tomorrow", 507) is errors.NotNow
    assert errors.family_of("of_tomorrow", 418) is errors.Invalid


def test_a_next_page_is_asked_of_the_server_that_we_know() -> None:
    assert steps.next_page("https://elsewhere.example/api/v1/sandboxes?cursor=x") == "/sandboxes?cursor=x"
