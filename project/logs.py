"""Logs: structlog for our own lines and everybody else's, JSON in production, readable in development."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import structlog

from project.readable import cut, visible

if TYPE_CHECKING:
    from collections.abc import MutableMapping

SECRET_NAMES = re.compile(
    r"(api_?key|deploy_?key|secret|password|token|authorization|cookie|pepper)", re.IGNORECASE
)
# One pass over any text takes time in proportion to its length: what can fail is bounded, and what is not bounded
# stands at the end and gives nothing back (`*+`, `++`).
SECRET_SHAPES = (
    r"sandkeeper_[A-Za-z0-9_-]{8}[A-Za-z0-9_-]*+",
    r"dtn_[A-Za-z0-9_-]++",
    r"whsec_[A-Za-z0-9+/=]++",
    r"(?:prod|dev|preview|project):[\w:-]{1,200}+\|[\w=+/.-]++",
    r"Bearer\s{1,8}+[\w.~+/=-]++",
    r"Convex\s{1,8}+[\w:.~+/=-]{0,200}+\|[\w:.~+/=-]++",  # not "Convex did not answer"
    r"eyJ[\w-]{5}[\w-]*+(?:\.[\w-]++)*+",
)
PASSWORD_OF_ADDRESS = re.compile(r"://[^/@:]*:([^/@]+)@")
REDACTED = "[redacted]"
LONGEST_SECRET = 4_000  # so much is looked at beyond a cut, so that no half of a secret is left standing
VALUE_LIMIT = 2_000  # of a value in a log line: a path, a User-Agent, another system's words
TRACEBACK_LIMIT = 20_000
TRACEBACKS = frozenset({"exception", "stack"})
_known: list[str] = []
_secrets = re.compile("|".join(SECRET_SHAPES))


def hide(*secrets: str) -> None:
    """Redact these values wherever they stand, whatever they look like."""
    global _secrets
    _known[:] = sorted({*_known, *(secret for secret in secrets if len(secret) >= 8)}, key=len, reverse=True)
    _secrets = re.compile("|".join([*map(re.escape, _known), *SECRET_SHAPES]))


def passwords_in(*addresses: str) -> list[str]:
    """The passwords of addresses such as redis://:password@host, as written and as meant."""
    written = [match[1] for address in addresses if (match := PASSWORD_OF_ADDRESS.search(address))]
    return [*written, *(unquote(password) for password in written)]


def hidden() -> tuple[str, ...]:
    """The values that are redacted whatever they look like."""
    return tuple(_known)


def redact(text: str, limit: int = TRACEBACK_LIMIT) -> str:
    """The first `limit` characters without our secrets and without anything that looks like one."""
    near = text[: limit + LONGEST_SECRET]
    parts, end = [], 0
    for found in _secrets.finditer(near):
        if found.start() >= limit:
            break
        parts += [near[end : found.start()], REDACTED]
        end = found.end()
    rest = f"{near[end:limit]}…" if len(text) > max(end, limit) else near[end:limit]
    return cut("".join([*parts, rest]), limit)


def _shown(name: str, value: Any) -> Any:
    """A value of a log line: cut, without secrets, and on one line unless it is a traceback."""
    if isinstance(value, str):
        if SECRET_NAMES.search(name[:VALUE_LIMIT]):
            return REDACTED
        is_long = name in TRACEBACKS
        return visible(redact(value, TRACEBACK_LIMIT if is_long else VALUE_LIMIT), lines=is_long)
    if isinstance(value, dict):
        return {visible(cut(str(key), VALUE_LIMIT)): _shown(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(name, inner) for inner in value]
    return value


def show_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog's processor: no secret, and nothing that drives a terminal or starts a line of its own."""
    for name, value in event.items():
        event[name] = _shown(name, value)
    return event


SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    show_event,
]
LOGGERS: dict[str, dict[str, Any]] = {
    "django.server": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
    "django": {"handlers": []},  # else with DEBUG=1 Django prints its lines once more, as they are
    "django.request": {"level": "ERROR"},  # django-structlog has one line for each request
    # Without a level these two write past our handler; and the watch says itself when a connection ends.
    "engineio.client": {"level": "CRITICAL"},
    "socketio.client": {"level": "WARNING"},
    "httpx": {"level": "WARNING"},
    "httpcore": {"level": "WARNING"},
}


def configure_structlog() -> None:
    """Have structlog hand its lines to the handlers of `logging_config`."""
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


def logging_config(*, level: str, as_json: bool) -> dict[str, Any]:
    """Django's LOGGING: one handler for our own lines and everybody else's."""
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
        "loggers": LOGGERS,
    }
