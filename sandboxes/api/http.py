"""What Sandkeeper reads of a request itself: bodies as strict JSON, and `Prefer: wait=N` (RFC 7240)."""

from __future__ import annotations

import json
import re
from typing import IO, TYPE_CHECKING, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_WAIT = 60  # seconds
_WAIT = re.compile(r"""^wait\s*=\s*"?(\d{1,9})"?$""", re.IGNORECASE)


class StrictJson(JSONParser):
    """Refuses, as well, what nests too deep to be read, and half of a surrogate pair: no UTF-8 can hold it."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            parsed = super().parse(stream, media_type, parser_context)
            json.dumps(parsed, ensure_ascii=False).encode()
        except RecursionError:
            raise ParseError("The JSON nests too deep.") from None
        except UnicodeEncodeError:
            raise ParseError("The JSON holds half of a surrogate pair.") from None
        return parsed


def wait_seconds(header: str, parameter: int | None = None) -> int | None:
    """How long the caller would like to wait for an operation, in seconds, at most 60; None: nothing that we read.

    `parameter`: the same as a query parameter, for who cannot send the header; it counts first.
    """
    if parameter is not None:
        return min(parameter, LONGEST_WAIT)
    for preference in header.split(","):
        if match := _WAIT.match(preference.partition(";")[0].strip()):
            return min(int(match[1]), LONGEST_WAIT)
    return None
