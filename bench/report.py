"""What a bench ends with: the machine, and one line for each figure, `name value aim limit met|MISSED`.

The aim is what is to be reached, the limit is what nobody can pass (the waiting alone, or the anchor that runs
beside). With `--json` the same is one JSON object, and nothing else is printed to stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict, dataclass, field

from bench.environment import machine

OPERATORS = {True: "≥", False: "≤"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; None: it could not be measured here. `aim` and `limit` are in the same unit."""

    name: str
    value: float | None
    unit: str = ""
    aim: float | None = None
    limit: float | None = None
    at_least: bool = False  # whether more is better

    @property
    def verdict(self) -> str:
        if self.value is None or self.aim is None:
            return ""
        return "met" if (self.value >= self.aim if self.at_least else self.value <= self.aim) else "MISSED"

    def line(self, width: int) -> str:
        aim = "-" if self.aim is None else f"{OPERATORS[self.at_least]} {_shown(self.aim, self.unit)}"
        value = "not measured" if self.value is None else _shown(self.value, self.unit)
        limit = "-" if self.limit is None else _shown(self.limit, self.unit)
        return f"{self.name:{width}}  {value:>12}  {aim:>12}  {limit:>10}  {self.verdict}".rstrip()


@dataclass
class Report:
    """The figures of one run. Make it before anything is measured: it takes down how busy the machine was."""

    bench: str
    as_json: bool = False
    machine: str = field(default_factory=machine)
    figures: list[Figure] = field(default_factory=list)

    def say(self, text: str) -> None:
        """A line about how it goes, for people."""
        print(text, file=sys.stderr if self.as_json else sys.stdout, flush=True)

    def add(self, name: str, value: float | None, unit: str = "", *, aim: float | None = None,
            limit: float | None = None, at_least: bool = False) -> None:  # fmt: skip
        self.figures.append(Figure(name, value, unit, aim, limit, at_least))

    def end(self) -> int:
        """Print all figures; the exit code: 1 when an aim was missed."""
        if self.as_json:
            shown = [asdict(one) | {"verdict": one.verdict} for one in self.figures]
            print(json.dumps({"bench": self.bench, "machine": self.machine, "figures": shown}, indent=2))
        else:
            width = max((len(one.name) for one in self.figures), default=0)
            print(f"\n{self.machine}, load {os.getloadavg()[0]:.1f} at the end")
            print(f"{'figure':{width}}  {'value':>12}  {'aim':>12}  {'limit':>10}")
            for figure in self.figures:
                print(figure.line(width))
        return 1 if any(one.verdict == "MISSED" for one in self.figures) else 0


def parser(bench: str, description: str) -> argparse.ArgumentParser:
    """The options that all benches with a report have."""
    made = argparse.ArgumentParser(prog=f"python -m bench.{bench}", description=description)
    made.add_argument("--json", action="store_true", help="print the figures as a JSON object")
    return made


def _shown(value: float, unit: str) -> str:
    if unit == "%":
        return f"{value:.1%}"
    digits = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f} {unit}".rstrip()
