"""The query string of the lists: what class-validator accepts, and its words for what it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from emulator.daytona.errors import Refusal, broken
from emulator.daytona.sandbox import STATES, Sandbox, micros_of

SORTS = {
    "name": "name",
    "cpu": "cpu",
    "memoryGib": "memory",
    "diskGib": "disk",
    "lastActivityAt": "last_activity_at",
    "createdAt": "created_at",
}
MORE_SORTS = SORTS | {"updatedAt": "updated_at", "state": "state", "region": "target", "snapshot": "snapshot"}
LISTABLE = [state for state in STATES if state != "destroyed"]
RANGES = {"Cpu": "cpu", "MemoryGiB": "memory", "DiskGiB": "disk", "Gpu": "gpu"}
DATES = {"createdAt": "created_at", "lastEvent": "last_activity_at"}
CHOICES = {
    "snapshots": "snapshot",
    "regionIds": "target",
    "regions": "target",
    "sandboxClasses": "sandbox_class",
}

Test = Callable[[Sandbox], bool]


@dataclass
class Query:
    limit: int = 100
    page: int = 1
    cursor: str | None = None
    sort: str = "lastActivityAt"
    descending: bool = True
    tests: list[Test] = field(default_factory=list)

    def accepts(self, row: Sandbox) -> bool:
        return all(test(row) for test in self.tests)


def parse(text: str, *, sorts: dict[str, str] = SORTS, sort: str = "lastActivityAt") -> Query:
    """Raises Refusal (400) with every problem, in the order of the fields."""
    given: dict[str, list[str]] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        given.setdefault(key.removesuffix("[]"), []).append(value)
    single = {key: values[-1] for key, values in given.items()}
    problems: list[str] = []
    query = Query(
        page=_whole(single, "page", 1, 1, None, problems),
        limit=_whole(single, "limit", 100, 1, 200, problems),
        cursor=single.get("cursor"),
    )
    for state in given.get("states", []):
        if state not in LISTABLE:
            problems.append(f"each value must be one of the following values: {', '.join(LISTABLE)}")
            break
    query.sort = _word(single, "sort", sort, list(sorts), problems)
    query.descending = _word(single, "order", "desc", ["asc", "desc"], problems) == "desc"
    if problems:
        raise Refusal(400, ", ".join(problems))
    query.tests = _tests(given, single)
    return query


def _whole(
    single: dict[str, str], key: str, default: int, least: int, most: int | None, problems: list[str]
) -> int:
    if key not in single:
        return default
    try:
        number = int(single[key])
    except ValueError:
        problems.append(f"{key} must be an integer number")
        problems.append(f"{key} must not be less than {least}")
        if most is not None:
            problems.append(f"{key} must not be greater than {most}")
        return default
    if number < least:
        problems.append(f"{key} must not be less than {least}")
    if most is not None and number > most:
        problems.append(f"{key} must not be greater than {most}")
    return number


def _word(single: dict[str, str], key: str, default: str, allowed: list[str], problems: list[str]) -> str:
    word = single.get(key, default)
    if word not in allowed:
        problems.append(f"{key} must be one of the following values: {', '.join(allowed)}")
    return word


def _tests(given: dict[str, list[str]], single: dict[str, str]) -> list[Test]:
    tests: list[Test] = [_errored_deleted(single.get("includeErroredDeleted") == "true")]
    tests += [_prefix(key, single[key].lower()) for key in ("id", "name") if single.get(key)]
    if single.get("labels"):
        tests.append(_labels(single["labels"]))
    if given.get("states"):
        tests.append(_among("state", given["states"]))
    tests += [_among(column, given[key]) for key, column in CHOICES.items() if given.get(key)]
    for key, column in (("isPublic", "public"), ("isRecoverable", "recoverable")):
        if key in single:
            tests.append(_equals(column, single[key] == "true"))
    return tests + _ranges(single)


def _ranges(single: dict[str, str]) -> list[Test]:
    tests: list[Test] = []
    for suffix, column in RANGES.items():
        if f"min{suffix}" in single:
            tests.append(_at_least(column, _number(single, f"min{suffix}")))
        if f"max{suffix}" in single:
            tests.append(_at_most(column, _number(single, f"max{suffix}")))
    for prefix, column in DATES.items():
        if f"{prefix}After" in single:
            tests.append(_at_least(column, _date(single, f"{prefix}After")))
        if f"{prefix}Before" in single:
            tests.append(_at_most(column, _date(single, f"{prefix}Before")))
    return tests


def _number(single: dict[str, str], key: str) -> float:
    try:
        return float(single[key])
    except ValueError:
        text = f"{key} must be a number conforming to the specified constraints"
        raise Refusal(400, text) from None


def _date(single: dict[str, str], key: str) -> float:
    try:
        return micros_of(single[key])
    except ValueError:
        raise Refusal(400, f"{key} must be a Date instance") from None


def _errored_deleted(included: bool) -> Test:
    return lambda row: included or not row.hidden


def _prefix(column: str, start: str) -> Test:
    return lambda row: getattr(row, column).lower().startswith(start)


def _among(column: str, values: list[str]) -> Test:
    wanted = frozenset(values)
    return lambda row: getattr(row, column) in wanted


def _equals(column: str, value: Any) -> Test:
    return lambda row: getattr(row, column) == value


def _at_least(column: str, least: float) -> Test:
    return lambda row: getattr(row, column) is not None and getattr(row, column) >= least


def _at_most(column: str, most: float) -> Test:
    return lambda row: getattr(row, column) is not None and getattr(row, column) <= most


def _labels(text: str) -> Test:
    try:
        wanted = json.loads(text)
    except ValueError:
        raise Refusal(400, "Invalid labels JSON format") from None
    if wanted is None:
        return lambda row: True
    if isinstance(wanted, list):
        raise broken()
    if not isinstance(wanted, dict):
        raise Refusal(400, "Invalid labels JSON format")
    pairs = wanted.items()
    return lambda row: isinstance(row.labels, dict) and all(row.labels.get(key) == value for key, value in pairs)
