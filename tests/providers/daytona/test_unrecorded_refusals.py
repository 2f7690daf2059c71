"""Answers that no recording has: other servers, other versions, and whatever stands between us and Daytona."""

from __future__ import annotations

import json
import pickle

import pytest

from sandboxes.providers.daytona import errors
from sandboxes.providers.daytona.errors import classify
from sandboxes.providers.messages import WORDS_LIMIT


def refuse(status: int, message: object, operation: str = "start") -> errors.DaytonaError:
    return classify(operation, status, {}, json.dumps({"statusCode": status, "message": message}).encode())


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize(
    ("message", "resource", "limit"),
    [
        ("Total CPU limit exceeded. Maximum allowed: 10.\nTo increase", "CPU", 10),
        ("Total CPU limit exceeded. Maximum allowed: 2.5.\nTo increase", "CPU", 2.5),
        ("Total memory limit exceeded. Maximum allowed: 8GiB.\nTo increase", "memory", 8),
        ("Total memory limit exceeded. Maximum allowed: 0.5GiB.\nTo increase", "memory", 0.5),
        ("Total GPU limit exceeded. Maximum allowed: 0.", "GPU", 0),
        ("Failed to start sandbox: Total CPU limit exceeded. Maximum allowed: 4.", "CPU", 4),
        ("total cpu limit exceeded. maximum allowed: 4", "CPU", 4),
        ("Total CPU quota exceeded (12 > 10)", "CPU", 10),
        ("Total memory quota exceeded (12GB > 10.5GB)", "memory", 10.5),
        ("Total memory quota exceeded. Maximum allowed: 20", "memory", 20),
        ("Total CPU limit exceeded", "CPU", None),
    ],
)
def test_a_full_compute_quota_says_which_and_how_much(
    status: int, message: str, resource: str, limit: float | None
) -> None:
    error = refuse(status, message)
    assert isinstance(error, errors.ComputeQuotaFull)
    assert (error.resource, error.limit) == (resource, limit)


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("word", ["limit", "quota"])
def test_a_full_disk_quota_is_not_a_full_compute_quota(status: int, word: str) -> None:
    message = f"Total disk {word} exceeded. Maximum allowed: 9GiB.\nConsider archiving"
    assert type(refuse(status, message)) is errors.DiskQuotaFull


@pytest.mark.parametrize(
    ("status", "message", "operation", "kind"),
    [
        (
            409,
            "Sandbox recovery has been attempted recently. Please try again later",
            "recover",
            errors.RecoverCooldown,
        ),
        (400, "Sandbox must be in error state to recover", "recover", errors.WrongState),
        (400, "Sandbox is not in valid state", "start", errors.WrongState),
        (400, "Sandbox state change in progress", "stop", errors.Busy),
        (403, "Organization is suspended", "start", errors.Suspended),
        (403, "Region eu is not available to the organization for class container", "create", errors.Rejected),
        (403, "Sandbox storage cannot be further expanded", "recover", errors.RecoverExhausted),
        (400, "CPU request 9 exceeds maximum allowed per sandbox (4).", "start", errors.Rejected),
        (400, "Ephemeral sandboxes cannot be archived", "archive", errors.Rejected),
        (409, "Words that nobody has seen", "start", errors.Rejected),
        (422, "Resuming is not supported for this sandbox", "start", errors.Rejected),
        (402, "Payment required", "create", errors.Rejected),
        (404, "No runner found", "recover", errors.Unknown),
        (404, "Sandbox with ID or name x not found", "list_page", errors.Unknown),
        (404, "Region not found", "get", errors.Unknown),
        (408, "Request Timeout", "start", errors.Unknown),
        (425, "Too Early", "start", errors.Unknown),
        (504, "Gateway Timeout", "get", errors.Unknown),
        (302, "Found", "get", errors.Unknown),
    ],
)
def test_each_is_told_apart(status: int, message: str, operation: str, kind: type[errors.DaytonaError]) -> None:
    assert type(refuse(status, message, operation)) is kind


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Organization is suspended: Payment method required", "Payment method required"),
        ("Organization is suspended", ""),
    ],
)
def test_a_suspension_gives_its_reason(message: str, reason: str) -> None:
    error = refuse(403, message)
    assert isinstance(error, errors.Suspended)
    assert error.reason == reason


@pytest.mark.parametrize("status", [400, 403, 404, 409, 500, 502, 503])
@pytest.mark.parametrize(
    "body",
    [
        b"<html>Bad gateway</html>",
        b"",
        b"null",
        b"[]",
        b'{"detail": "no"}',
        b'{"message": 7}',
        b"\xff",
        b"[" * 9999,
    ],
)
def test_an_answer_that_is_not_daytonas_leaves_the_outcome_open(status: int, body: bytes) -> None:
    error = classify("get", status, {}, body)
    assert type(error) is errors.Unknown
    assert not error.outcome_known


@pytest.mark.parametrize(("status", "kind"), [(401, errors.Unauthorized), (429, errors.RateLimited)])
def test_a_refused_key_and_a_throttle_mean_the_same_from_anyone(
    status: int, kind: type[errors.DaytonaError]
) -> None:
    assert type(classify("get", status, {}, b"<html></html>")) is kind


def test_the_words_of_several_refusals_are_joined() -> None:
    assert refuse(400, ["limit must be a number", "limit must not be 0"]).message == (
        "limit must be a number, limit must not be 0"
    )


def test_words_are_kept_to_a_length_that_a_row_can_hold() -> None:
    assert len(refuse(400, "x" * 100_000).message) == WORDS_LIMIT


def test_an_error_survives_the_task_queue() -> None:
    error = refuse(400, "Total memory limit exceeded. Maximum allowed: 8GiB.")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), vars(copy), str(copy)) == (type(error), vars(error), str(error))
