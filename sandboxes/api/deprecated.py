"""What of v1 is to go: the answers say so for a year before, the OpenAPI document and docs/clients.md as well."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from django.utils.http import http_date

if TYPE_CHECKING:
    from django.http import HttpRequest


@dataclass(frozen=True, slots=True)
class Deprecated:
    """One method of one address, as the OpenAPI document writes it."""

    method: str
    path: str
    since: date
    until: date  # at least a year later; from then on it is gone
    instead: str  # where to read what to use in its place

    @property
    def headers(self) -> dict[str, str]:
        """`Deprecation` by RFC 9745, `Sunset` by RFC 8594."""
        return {
            "Deprecation": f"@{_seconds(self.since)}",
            "Sunset": http_date(_seconds(self.until)),
            "Link": f'<{self.instead}>; rel="deprecation"',
        }


DEPRECATED: tuple[Deprecated, ...] = ()


def headers_for(request: HttpRequest) -> dict[str, str]:
    """What every answer of a deprecated address carries, errors included."""
    match = request.resolver_match
    if match is None:
        return {}
    path = "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", match.route)
    return next((one.headers for one in DEPRECATED if (one.method, one.path) == (request.method, path)), {})


def mark(paths: dict[str, Any]) -> None:
    """Say it in the OpenAPI document."""
    for one in DEPRECATED:
        operation = paths[one.path][one.method.lower()]
        operation["deprecated"] = True
        told = f"Deprecated since {one.since}, gone on {one.until}: see {one.instead}."
        operation["description"] = f"{told}\n\n{operation.get('description', '')}".strip()


def _seconds(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())
