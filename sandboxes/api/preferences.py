"""`Prefer: wait=N` (RFC 7240): how long a caller would like to wait for the end of an operation."""

from __future__ import annotations

import re

LONGEST = 60
_WAIT = re.compile(r"""^wait\s*=\s*"?(\d{1,9})"?$""", re.IGNORECASE)


def wait_seconds(header: str, parameter: int | None = None) -> int | None:
    """The seconds asked for, at most 60; None where nothing (that we understand) is asked.

    `parameter`: the same as a query parameter, for who cannot send the header; it counts first.
    """
    if parameter is not None:
        return min(parameter, LONGEST)
    for preference in header.split(","):
        if match := _WAIT.match(preference.partition(";")[0].strip()):
            return min(int(match[1]), LONGEST)
    return None
