"""ETags, and the conditions that name them (RFC 9110, 13): `If-Match` and `If-None-Match`."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from sandboxes.core.codes import Code, Refused, invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

IF_MATCH, IF_NONE_MATCH = "If-Match", "If-None-Match"
# They move by mere use, with each look at the sandbox, as Daytona comes to hold what was asked of it, or with a
# policy of many sandboxes: nobody has decided anything anew about this one.
CLOCKS = ("last_accessed_at", "last_activity_at", "observed_at", "updated_at")
FORESEEN = ("stops_at", "stops_by", "archives_at", "archives_by", "deletes_at", "deletes_by")
NOT_COUNTED = frozenset({*CLOCKS, *FORESEEN, "observed", "differences", "etag"})
_TAG = re.compile(r'[ \t]*(W/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,[ \t,]*|$)')


def etag_of(shown: Mapping[str, Any]) -> str:
    """The strong ETag of a representation, of all that counts."""
    counted = {name: value for name, value in shown.items() if name not in NOT_COUNTED}
    body = json.dumps(counted, sort_keys=True, separators=(",", ":")).encode()
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def check_match(header: str, etag: str) -> None:
    """Refuse unless If-Match names this ETag; a weak one never does.

    Raises:
        Refused: PRECONDITION_FAILED, INVALID_REQUEST.
    """
    if (tags := _tags(IF_MATCH, header)) is not None and ("", etag) not in tags:
        raise Refused(Code.PRECONDITION_FAILED, f"Its ETag is now {etag}.")


def is_known(header: str, etag: str) -> bool:
    """Whether If-None-Match names this ETag, so that a GET need not repeat what the caller has.

    Raises:
        Refused: INVALID_REQUEST.
    """
    tags = _tags(IF_NONE_MATCH, header)
    return tags is None or etag in {tag for _, tag in tags}


def _tags(name: str, header: str) -> list[tuple[str, str]] | None:
    """The ETags as (`W/` or nothing, tag); None for `*`, which is any."""
    if header.strip() == "*":
        return None
    tags: list[tuple[str, str]] = []
    at = 0
    while at < len(header) or not tags:
        found = _TAG.match(header, at)
        if found is None:
            raise invalid(name, f'{name} is `*`, or ETags as they were given: "…", "…".')
        tags.append((found[1] or "", found[2]))
        at = found.end()
    return tags
