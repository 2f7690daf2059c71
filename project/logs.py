"""Logs: structlog for our own lines and everybody else's, JSON in production, readable in development."""

from __future__ import annotations

import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

SECRET_NAMES = re.compile(
    r"(api_?key|deploy_?key|secret|password|token|authorization|cookie|pepper)", re.IGNORECASE
)
SECRET_SHAPES = re.compile(
    r"(sandkeeper_[A-Za-z0-9_-]{8,}"
    r"|dtn_[A-Za-z0-9_-]+"
    r"|(?:prod|dev|preview|project):[\w:-]+\|[\w=+/.-]+"
    r"|Bearer\s+[\w.~+/=-]+"
    r"|Convex\s+[\w:.~+/=-]*\|[\w:.~+/=-]+"  # not "Convex did not answer"
    r"|eyJ[\w-]+\.[\w-]+\.[\w-]+)"
)
REDACTED = "[redacted]"
_known: list[str] = []


def hide(*secrets: str) -> None:
    """Redact these values wherever they stand, whatever they look like."""
    _known[:] = sorted({*_known, *(secret for secret in secrets if len(secret) >= 8)}, key=len, reverse=True)


def redact(text: str) -> str:
    """Words of our own or of others without our secrets and without anything that looks like one."""
    for secret in _known:
        text = text.replace(secret, REDACTED)
    return SECRET_SHAPES.sub(REDACTED, text)


def _redacted(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return REDACTED if SECRET_NAMES.search(name) else redact(value)
    if isinstance(value, dict):
        return {k: _redacted(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(name, v) for v in value]
    return value


def redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        event[name] = _redacted(name, value)
    return event


SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    redact_event,
]


def logging_config(*, level: str, as_json: bool) -> dict[str, Any]:
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structlog": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
                "foreign_pre_chain": SHARED,
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structlog"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django.server": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
            "django": {"handlers": []},  # else with DEBUG=1 Django prints its lines once more, as they are
            "django_tasks": {"level": "WARNING"},
            "django.tasks": {"level": "WARNING"},  # the same lines from Django 6 on
            "django_tasks_db": {"level": "WARNING"},
            "django.request": {"level": "ERROR"},  # django-structlog has one line for each request
            # Without a level these two write past our handler; and the watch says itself when a connection ends.
            "engineio.client": {"level": "CRITICAL"},
            "socketio.client": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
            "httpcore": {"level": "WARNING"},
            "urllib3": {"level": "WARNING"},
        },
    }
