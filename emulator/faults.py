"""Faults on request: rules that spoil matching calls, and outcomes that spoil the sandbox host's work."""

from __future__ import annotations

import itertools
import re
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

CALL_KINDS = frozenset({"status", "drop_before", "drop_after", "hang", "delay"})
OPERATIONS = frozenset({"create", "start", "stop", "delete", "backup", "restore", "recover"})


class BadFault(ValueError):
    """A rule that cannot be understood; the text says what to change."""


@dataclass
class Fault:
    """One rule. See emulator/README.md for what each kind does."""

    kind: str
    system: str = ""
    method: str = ""
    path: str = ""
    body: str = ""
    sandbox: str = ""
    times: int | None = None
    skip: int = 0
    probability: float = 1.0
    seconds: float | None = None
    execute: bool = False
    execute_after: float | None = None
    status: int = 500
    answer: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    operation: str = ""
    error: str = ""
    recoverable: bool = False
    never: bool = False
    id: int = 0
    hits: int = 0

    def exhausted(self) -> bool:
        return self.times is not None and self.hits >= self.times

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Faults:
    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._numbers = itertools.count(1)
        self.rules: list[Fault] = []

    def add(self, data: dict[str, Any]) -> Fault:
        """Check and add a rule. Raises BadFault."""
        fault = _parse(data)
        fault.id = next(self._numbers)
        self.rules.append(fault)
        return fault

    def remove(self, number: int | None = None) -> int:
        """Remove one rule, or all of them; returns how many went."""
        before = len(self.rules)
        self.rules = [] if number is None else [rule for rule in self.rules if rule.id != number]
        return before - len(self.rules)

    def for_call(self, *, system: str, method: str, path: str, body: bytes) -> Fault | None:
        """The first rule that hits this call, counted as a hit."""
        if not self.rules:
            return None
        text = body.decode("utf-8", "replace")
        for rule in self.rules:
            if rule.kind in CALL_KINDS and _matches(rule, system, method, path, text) and self._hits(rule):
                return rule
        return None

    def for_host(self, *, operation: str, sandbox: str, name: str) -> Fault | None:
        """The first outcome meant for this piece of the sandbox host's work, counted as a hit."""
        for rule in self.rules:
            if rule.kind != "host" or rule.operation != operation:
                continue
            if rule.sandbox in ("", sandbox, name) and self._hits(rule):
                return rule
        return None

    def _hits(self, rule: Fault) -> bool:
        if rule.exhausted():
            return False
        if rule.skip > 0:
            rule.skip -= 1
            return False
        if rule.probability < 1.0 and self._rng.random() >= rule.probability:
            return False
        rule.hits += 1
        return True


def _matches(rule: Fault, system: str, method: str, path: str, body: str) -> bool:
    return (
        rule.system in ("", system)
        and rule.method.upper() in ("", method)
        and (not rule.path or re.search(rule.path, path) is not None)
        and (not rule.body or re.search(rule.body, body) is not None)
        and (not rule.sandbox or rule.sandbox in path or rule.sandbox in body)
    )


def _parse(data: dict[str, Any]) -> Fault:
    known = {item.name for item in fields(Fault)} - {"id", "hits"}
    unknown = set(data) - known
    if unknown:
        raise BadFault(f"unknown field {sorted(unknown)[0]!r}; known are {', '.join(sorted(known))}")
    kind = data.get("kind")
    if kind not in CALL_KINDS | {"host"}:
        raise BadFault(f"kind must be one of {', '.join(sorted(CALL_KINDS))}, host; not {kind!r}")
    if kind == "host" and data.get("operation") not in OPERATIONS:
        raise BadFault(f"operation must be one of {', '.join(sorted(OPERATIONS))}")
    for pattern in ("path", "body"):
        try:
            re.compile(data.get(pattern, ""))
        except re.error as error:
            raise BadFault(f"{pattern} is no regular expression: {error}") from error
    return Fault(**data)
