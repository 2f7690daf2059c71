from __future__ import annotations

import json
import logging

import pytest
import structlog

from project import logs


@pytest.mark.parametrize(
    "secret",
    [
        "dtn_0123456789abcdef",
        "prod:happy-otter-123|eyJ2MiI6IjAx",
        "preview:team:project|0123456789",
        "Bearer abc.def-ghi",
        "Convex prod:x|y",
        "sandkeeper_abcd1234_s3cr3ts3cr3t",
        "eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl",
    ],
)
def test_what_looks_like_a_secret_is_redacted(secret: str) -> None:
    shown = logs.redact(f"before {secret} after")
    assert secret.split()[-1] not in shown
    assert (shown[:7], shown[-6:]) == ("before ", " after")


def test_our_own_secrets_are_redacted_whatever_they_look_like() -> None:
    logs.hide("plain words as a key", "short")
    assert logs.redact("short") == "short"
    assert logs.redact("it said: plain words as a key!") == f"it said: {logs.REDACTED}!"


def test_ordinary_words_stay() -> None:
    words = "Sandbox with ID or name 0198-aa not found; prod:us is a region; 12:30|13:30"
    assert logs.redact(words) == words


def line_of(record: logging.LogRecord) -> dict[str, object]:
    """The JSON line that a log record of anybody becomes."""
    config = dict(logs.logging_config(level="INFO", as_json=True)["formatters"]["structlog"])
    formatter = config.pop("()")(**config)
    return dict(json.loads(formatter.format(record)))


def record_of(message: str, *arguments: object, error: Exception | None = None) -> logging.LogRecord:
    raised = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("somebody", logging.WARNING, __file__, 1, message, arguments, raised)


def test_secrets_are_redacted_by_the_name_of_their_key_at_any_depth() -> None:
    event = {"event": "call", "api_key": "x", "detail": {"password": "y", "tier": "basic"}, "n": 3}
    assert logs.show_event(None, "info", event) == {
        "event": "call",
        "api_key": logs.REDACTED,
        "detail": {"password": logs.REDACTED, "tier": "basic"},
        "n": 3,
    }


def test_lines_of_others_are_json_too() -> None:
    line = line_of(record_of("call with %s failed", "care"))
    assert (line["event"], line["level"], line["logger"]) == ("call with care failed", "warning", "somebody")


def test_tracebacks_are_redacted() -> None:
    try:
        raise ValueError("refused dtn_0123456789")
    except ValueError as error:
        line = line_of(record_of("call with %s failed", "dtn_abcdefgh", error=error))
    assert "ValueError" in str(line["exception"])
    assert "dtn_" not in json.dumps(line)


def test_bound_ids_are_in_every_line() -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        assert line_of(record_of("words"))["request_id"] == "r-1"
