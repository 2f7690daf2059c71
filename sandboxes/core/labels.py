"""The labels that people give a sandbox: which may be given, and how a change is merged. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sandboxes.core.codes import invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 20
LONGEST = 255  # characters of a value
NAME = re.compile(r"[A-Za-z][A-Za-z0-9._/-]{0,62}")
# What we, Daytona and the application on Convex put there, and the names that changes of intervals have.
RESERVED = ("sandkeeper", "harness", "daytona", "code-toolbox", "auto_")


def is_reserved(name: str) -> bool:
    return name.lower().startswith(RESERVED)


def merged(labels: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """The labels after a change, as JSON Merge Patch has it: null takes one away, what is not named stays.

    Raises:
        Refused: INVALID_REQUEST, for a name or a value that cannot be, and for too many.
    """
    for name, value in changes.items():
        if problem := _problem(name, value):
            raise invalid(f"labels.{name}", problem)
    after = {name: value for name, value in {**labels, **changes}.items() if value is not None}
    if len(after) > max(MOST, len(labels)):
        raise invalid("labels", f"A sandbox has {MOST} labels at most, and this would make {len(after)}.")
    return after


def taken_over(labels: Mapping[str, str]) -> dict[str, str]:
    """Those of a sandbox's labels in Daytona that people may have given it."""
    given = [(name, value) for name, value in sorted(labels.items()) if not _problem(name, value)]
    return dict(given[:MOST])


def _problem(name: str, value: str | None) -> str:
    if not NAME.fullmatch(name):
        return "A name begins with a letter and has up to 63 letters, digits, dots, dashes, slashes or underscores."
    if is_reserved(name):
        return f"Names that begin with {', '.join(RESERVED[:-1])} or {RESERVED[-1]} are reserved."
    if value is not None and not 1 <= len(value) <= LONGEST:
        return f"A value has 1 to {LONGEST} characters; null takes the label away."
    return ""
