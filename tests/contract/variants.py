"""The same recordings with other names, sizes, quotas, ids and texts: an answer that was canned shows."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

SIZED = ("cpu", "memory", "disk")
NUMBERS = (
    (re.compile(r"(Total CPU limit exceeded\. Maximum allowed: )(\d+)"), "cpu"),
    (re.compile(r"(Total memory limit exceeded\. Maximum allowed: )(\d+)"), "memory"),
    (re.compile(r"(Total disk limit exceeded\. Maximum allowed: )(\d+)"), "disk"),
    (re.compile(r"(CPU request )(\d+)"), "cpu"),
    (re.compile(r"(exceeds maximum allowed per sandbox \()(\d+)"), "cpu"),
)


@dataclass(frozen=True)
class Variant:
    """`factors` multiply sizes and quotas alike; `texts` replace parts of any string, names included."""

    name: str
    factors: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SIZED, 1))
    prefix: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    fresh_ids: bool = False

    def amount(self, kind: str, number: int) -> int:
        return number * self.factors[kind]

    def renamed(self, name: str) -> str:
        return f"{self.prefix}{name}"

    def text(self, text: str) -> str:
        for old, new in self.texts.items():
            text = text.replace(old, new)
        for pattern, kind in NUMBERS:
            text = pattern.sub(partial(self._number, kind), text)
        return text

    def apply(self, value: Any, names: Iterable[str]) -> Any:
        """A recorded value as this variant would have been recorded."""
        patterns = [(name, _name_pattern(name)) for name in names]
        return self._apply(value, patterns)

    def ids(self, recorded: Iterable[str]) -> dict[str, str]:
        """Ids of this run for the recorded ones, in the same order: ties are sorted by id."""
        old = sorted(recorded)
        new = sorted(str(uuid.uuid4()) for _ in old) if self.fresh_ids else old
        return dict(zip(old, new, strict=True))

    def _apply(self, value: Any, names: list[tuple[str, re.Pattern[str]]], key: str = "") -> Any:
        if isinstance(value, dict):
            return {inner: self._apply(item, names, inner) for inner, item in value.items()}
        if isinstance(value, list):
            return [self._apply(item, names) for item in value]
        if isinstance(value, str):
            return self._string(value, names, key)
        if key in SIZED and isinstance(value, int) and not isinstance(value, bool):
            return self.amount(key, value)
        return value

    def _number(self, kind: str, found: re.Match[str]) -> str:
        return found[1] + str(self.amount(kind, int(found[2])))

    def _string(self, text: str, names: list[tuple[str, re.Pattern[str]]], key: str) -> str:
        if key == "target" and text in REGIONS and self.fresh_ids:
            return REGIONS[text]
        for name, pattern in names:
            if text == name:
                return self.renamed(name)
            text = pattern.sub(self.renamed(name), text)
        return self.text(text)


REGIONS = {"us": "eu", "mars": "venus"}
AS_RECORDED = Variant("as recorded")
OTHERWISE = Variant(
    "otherwise",
    factors={"cpu": 2, "memory": 3, "disk": 2},
    prefix="z9-",
    fresh_ids=True,
    texts={
        "ubuntu:22.04": "debian:13",
        "nope": "absent",
        "dtn_riguserkey": "dtn_of_this_run",
        "11111111-1111-4111-8111-111111111111": "3f0c9a52-6f5e-4c55-9d0e-7d2f51c1a001",
        "22222222-2222-4222-8222-222222222222": "3f0c9a52-6f5e-4c55-9d0e-7d2f51c1a002",
        "suspended: rig": "suspended: Payment method required",
        "boom": "image is gone",
        "no space left on device": "read-only file system",
        "http://127.0.0.1:53000/dashboard": "https://console.example/here",
        "http://127.0.0.1:54000/toolbox": "https://toolbox.example/t",
    },
)
VARIANTS = (AS_RECORDED, OTHERWISE)


def _name_pattern(name: str) -> re.Pattern[str]:
    """A name inside a path, a message or a `DESTROYED_` name."""
    word = re.escape(name)
    return re.compile(
        rf"(?<=name ){word}(?= (?:already|not))|(?<=/sandbox/){word}(?=$|[/?])"
        rf"|(?<=DESTROYED_){word}(?=_\d{{13}})|(?<=[?&]name=){word}"
    )
