from __future__ import annotations

import re

import pytest

from sandboxes.providers.daytona import errors
from sandboxes.providers.daytona.errors import PATTERNS, classify
from tests.providers.daytona.recorded import RECORDINGS, Refusal, refusals

# What each answer that was ever recorded means, in the order in which people would look them up. The words
# are searched for, the operation is a regular expression ("" is any).
EXPECTED: list[tuple[int, str, str, type[errors.DaytonaError]]] = [
    (401, "", "Invalid credentials", errors.Unauthorized),
    (403, "", "Access denied", errors.Rejected),
    (403, "create|start", "Organization is suspended: rig", errors.Suspended),
    (404, "^get$", "Sandbox with ID or name", errors.NotFound),
    (404, "^(?!get$)", "Sandbox with ID or name", errors.Unknown),
    (404, "create", "Region not found", errors.Rejected),
    (404, "", "Cannot (GET|PUT) /api/", errors.Unknown),
    (409, "", "Sandbox state change in progress", errors.Busy),
    (409, "", "Sandbox was modified by another operation", errors.Busy),
    (409, "create", "already exists", errors.NameTaken),
    (429, "", "ThrottlerException: Too Many Requests", errors.RateLimited),
    (500, "", "An unexpected error occurred", errors.Unknown),
    (503, "", "Temporary authentication service error", errors.Unknown),
    (400, "create|start", "Total (CPU|memory) limit exceeded", errors.ComputeQuotaFull),
    (400, "create|start", "Total disk limit exceeded", errors.DiskQuotaFull),
    (400, "create", "No available runners", errors.NoRunners),
    (400, "create|start", "Sandbox failed to start: ", errors.StartFailed),
    (400, "", "Sandbox is in an errored state", errors.WrongState),
    (400, "stop", "Sandbox is not in a stoppable state", errors.WrongState),
    (400, "archive", "Sandbox is not stopped", errors.WrongState),
    (400, "recover", "Sandbox is not in a recoverable state", errors.WrongState),
    (400, "create", "CPU request 9 exceeds maximum allowed per sandbox", errors.Rejected),
    (400, "create", "Cannot specify Sandbox resources when using a snapshot", errors.Rejected),
    (400, "create", "Snapshot .* not found", errors.Rejected),
    (400, "create", "labels must be an object", errors.Rejected),
    (400, "", "Invalid JSON in request body", errors.Rejected),
    (400, "list_page", "Invalid (cursor|labels)", errors.Rejected),
    (400, "list_page|paginated", "must (not )?be|each value must be", errors.Rejected),
]


def expected_class(refusal: Refusal) -> type[errors.DaytonaError]:
    for status, operation, words, error in EXPECTED:
        if (
            status == refusal.status
            and re.search(operation, refusal.operation)
            and re.search(words, refusal.message)
        ):
            return error
    raise AssertionError(f"no expectation for {refusal}")


def test_the_recordings_hold_refusals() -> None:
    found = refusals()
    assert len(found) > 180
    assert len({refusal.recording for refusal in found}) >= 15


def test_every_recorded_refusal_is_told_apart_as_expected() -> None:
    for refusal in refusals():
        error = classify(refusal.operation, refusal.status, refusal.headers, refusal.body())
        assert type(error) is expected_class(refusal), refusal
        assert error.message == refusal.message
        assert error.status == refusal.status


def test_every_expectation_is_met_by_a_recording() -> None:
    found = refusals()
    for status, operation, words, _ in EXPECTED:
        assert any(
            status == refusal.status
            and re.search(operation, refusal.operation)
            and re.search(words, refusal.message)
            for refusal in found
        ), (status, operation, words)


def test_the_recording_that_a_row_names_proves_it() -> None:
    found = refusals()
    for row in PATTERNS:
        if row.proof.startswith("source: "):
            continue
        assert (RECORDINGS / f"{row.proof}.json").exists()
        assert any(
            refusal.recording == row.proof and row.matches(refusal.operation, refusal.status, refusal.message)
            for refusal in found
        ), row


def test_a_row_without_a_recording_has_words_that_no_recording_has() -> None:
    """Otherwise the row would have a better proof than Daytona's source."""
    found = refusals()
    for row in PATTERNS:
        if row.proof.startswith("source: "):
            assert not any(row.matches(r.operation, r.status, r.message) for r in found), row


def test_an_error_names_what_proves_its_class() -> None:
    error = classify("start", 409, {}, b'{"message": "Sandbox state change in progress"}')
    assert error.recording == "05_conflicts"


@pytest.mark.parametrize("error", dict.fromkeys(row.error for row in PATTERNS))
def test_only_unknown_leaves_the_outcome_open(error: type[errors.DaytonaError]) -> None:
    assert error("words").outcome_known is (error is not errors.Unknown)
