"""Auto-stop, auto-archive and auto-delete: what Daytona stores of what it is told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from emulator.daytona.errors import Refusal, broken

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_ARCHIVE = 43200
LARGEST = 2**31 - 1  # of its database's column

# By the last part of the path: the row's column, the field of a create, the word of its refusals.
INTERVALS = {
    "autostop": ("auto_stop", "autoStopInterval", "Auto-stop"),
    "autoarchive": ("auto_archive", "autoArchiveInterval", "Auto-archive"),
    "autodelete": ("auto_delete", "autoDeleteInterval", "Auto-delete"),
}
DEFAULTS = {"autostop": 15, "autoarchive": 10080, "autodelete": -1}


def of_path(verb: str, text: str) -> int:
    """What `POST /sandbox/<id>/<verb>/<text>` stores. Raises Refusal."""
    if not re.fullmatch(r"-?[0-9]+", text):
        raise broken()
    return _stored(verb, int(text))


def of_create(verb: str, body: Mapping[str, Any]) -> int:
    """What a create stores. Raises Refusal; null and fractions break on Daytona's database."""
    value = body.get(INTERVALS[verb][1], DEFAULTS[verb])
    if not isinstance(value, int):
        raise broken()
    return _stored(verb, value)


def _stored(verb: str, minutes: int) -> int:
    """0 and everything above the maximum mean the maximum of auto-archive (recording 01_create_get)."""
    if minutes < 0 and verb != "autodelete":
        raise Refusal(400, f"{INTERVALS[verb][2]} interval must be non-negative")
    if verb == "autoarchive":
        return min(minutes, LONGEST_ARCHIVE) or LONGEST_ARCHIVE
    if abs(minutes) > LARGEST:
        raise broken()
    return minutes
