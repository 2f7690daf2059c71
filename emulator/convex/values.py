"""Convex values in the two JSON forms of its HTTP API (value/src/export.rs, json_args).

A float64 stays a Python float, so `json.dumps` prints it as Convex does, with `.0`. An int64 is an
`Int64` and exists only as `{"$integer": …}` on the way in: a plain `5` is a float64.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from typing import Any

FORMATS = ("json", "convex_encoded_json", "export_json")


class Int64(int):
    """An int64, told apart from the floats that every other number is."""


class BadValue(ValueError):
    """JSON that is no Convex value."""


def decode(value: Any) -> Any:
    """A Convex value from request JSON; `format` plays no part on the way in."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, list):
        return [decode(item) for item in value]
    if len(value) == 1 and next(iter(value)).startswith("$"):
        return _decode_special(*next(iter(value.items())))
    for key in value:
        if key.startswith("$"):
            raise BadValue(f"Field name {key} starts with a '$', which is reserved.")
    return {key: decode(item) for key, item in value.items()}


def encode(value: Any, *, form: str = "json") -> Any:
    """Response JSON of a Convex value; `json` is lossy, the others are invertible."""
    if isinstance(value, Int64):
        return str(int(value)) if form == "json" else {"$integer": _packed("<q", int(value))}
    if isinstance(value, bytes):
        text = base64.b64encode(value).decode()
        return text if form == "json" else {"$bytes": text}
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return _encode_float(float(value), form=form)
    if isinstance(value, list):
        return [encode(item, form=form) for item in value]
    return {key: encode(item, form=form) for key, item in value.items()}


def show(value: Any) -> str:
    """A value as Convex prints it in its error texts: keys without quotes, in order."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {show(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(show(item) for item in value) + "]"
    if isinstance(value, Int64):
        return f"{int(value)}n"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return json.dumps(value, ensure_ascii=False)


def _decode_special(key: str, text: Any) -> Any:
    try:
        raw = base64.b64decode(text, validate=True)
        if key == "$integer":
            return Int64(struct.unpack("<q", raw)[0])
        if key == "$float":
            return float(struct.unpack("<d", raw)[0])
        if key == "$bytes":
            return raw
    except (TypeError, ValueError, struct.error) as error:
        raise BadValue(f"Bad {key}: {error}") from error
    raise BadValue(f"Unknown special value {key}.")


def _encode_float(number: float, *, form: str) -> Any:
    special = not math.isfinite(number) or (number == 0 and math.copysign(1, number) < 0)
    if not special:
        return number
    if form != "json":
        return {"$float": _packed("<d", number)}
    if number == 0:
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _packed(layout: str, number: float) -> str:
    return base64.b64encode(struct.pack(layout, number)).decode()
