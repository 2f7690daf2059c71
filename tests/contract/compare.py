"""Comparing a recorded answer with the emulator's: everything, but for what `ignored.toml` names."""

from __future__ import annotations

import base64
import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

IGNORED = tomllib.loads((Path(__file__).parent / "ignored.toml").read_text())
FIELDS = {entry["name"]: entry["shape"] for entry in IGNORED["field"]}
HEADERS = {entry["name"]: entry["shape"] for entry in IGNORED["header"]}
BLURRED = [re.compile(entry["pattern"]) for entry in IGNORED["blurred"]]
COMPARED_HEADERS = re.compile(r"^(x-|retry-after|content-type$)", re.IGNORECASE)


def differences(recorded: Any, actual: Any, *, ids: Mapping[str, str], at: str = "body") -> list[str]:
    """Where two bodies differ; `ids` maps recorded ids to those of this run."""
    if isinstance(recorded, dict) and isinstance(actual, dict):
        return _of_objects(recorded, actual, ids, at)
    if isinstance(recorded, list) and isinstance(actual, list):
        if len(recorded) != len(actual):
            return [f"{at}: recorded {len(recorded)} items, got {len(actual)}: {recorded!r} {actual!r}"]
        pairs = enumerate(zip(recorded, actual, strict=True))
        return [text for number, pair in pairs for text in differences(*pair, ids=ids, at=f"{at}[{number}]")]
    wanted, got = blur(translate(recorded, ids)), blur(actual)
    if wanted != got or type(wanted) is not type(got):
        return [f"{at}: recorded {wanted!r}, got {got!r}"]
    return []


def header_differences(recorded: Mapping[str, str], actual: Mapping[str, str]) -> list[str]:
    """Names and values of the recorded headers, and no `X-…` or `Retry-After…` that was not recorded."""
    problems = []
    lower = {key.lower(): value for key, value in actual.items()}
    for name, value in recorded.items():
        got = lower.get(name.lower())
        if name in HEADERS:
            if got is None or not re.fullmatch(HEADERS[name], got):
                problems.append(f"header {name}: {got!r} has not the shape {HEADERS[name]}")
        elif got != value:
            problems.append(f"header {name}: recorded {value!r}, got {got!r}")
    known = {name.lower() for name in recorded}
    extra = [name for name in lower if COMPARED_HEADERS.match(name) and name not in known]
    return problems + [f"header {name}: not recorded, got {lower[name]!r}" for name in extra]


def translate(value: Any, ids: Mapping[str, str]) -> Any:
    """Recorded ids in a text (a path, a message) become those of this run."""
    if isinstance(value, str):
        for old, new in ids.items():
            value = value.replace(old, new)
    return value


def blur(value: Any) -> Any:
    if isinstance(value, str):
        for pattern in BLURRED:
            value = pattern.sub("<blurred>", value)
    return value


def decoded(cursor: str) -> dict[str, Any]:
    return dict(json.loads(base64.b64decode(cursor)))


def _of_objects(recorded: dict[str, Any], actual: dict[str, Any], ids: Mapping[str, str], at: str) -> list[str]:
    problems = [f"{at}.{key}: recorded, missing" for key in recorded.keys() - actual.keys()]
    problems += [f"{at}.{key}: not recorded, got {actual[key]!r}" for key in actual.keys() - recorded.keys()]
    for key in recorded.keys() & actual.keys():
        where = f"{at}.{key}"
        if key in FIELDS:
            problems += _shape(key, recorded[key], actual[key], ids, where)
        else:
            problems += differences(recorded[key], actual[key], ids=ids, at=where)
    return problems


def _shape(key: str, recorded: Any, actual: Any, ids: Mapping[str, str], at: str) -> list[str]:
    if (recorded is None) != (actual is None):
        return [f"{at}: recorded {recorded!r}, got {actual!r}"]
    if actual is not None and not re.fullmatch(FIELDS[key], str(actual)):
        return [f"{at}: {actual!r} has not the shape {FIELDS[key]}"]
    if key == "nextCursor" and actual is not None:
        wanted, got = decoded(recorded), decoded(actual)
        if wanted.keys() != got.keys() or translate(wanted["id"], ids) != got["id"]:
            return [f"{at}: recorded {wanted}, got {got}"]
    return []
