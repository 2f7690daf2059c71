"""What a verb will do to each of the chosen sandboxes, for the page that asks first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandboxes.admin import selectors
from sandboxes.admin.verbs import Verb, obstacle

if TYPE_CHECKING:
    from sandboxes.models import Sandbox


@dataclass(slots=True)
class Plan:
    """`destroyed`: only with force, and why. `vanished`: a delete only takes them off the list."""

    todo: list[Sandbox] = field(default_factory=list)
    destroyed: list[tuple[Sandbox, str]] = field(default_factory=list)
    vanished: list[Sandbox] = field(default_factory=list)
    skipped: list[tuple[Sandbox, str]] = field(default_factory=list)

    @classmethod
    def of(cls, verb: Verb, rows: list[Sandbox]) -> Plan:
        plan = cls()
        for row in rows:
            plan.add(verb, row, obstacle(verb, row, active=selectors.active_of(row)))
        return plan

    def add(self, verb: Verb, row: Sandbox, why: str) -> None:
        if why:
            self.skipped.append((row, why))
        elif danger := obstacle(verb, row, active=selectors.active_of(row), force=False):
            self.destroyed.append((row, danger))
        elif verb.only_unlists(row):
            self.vanished.append(row)
        else:
            self.todo.append(row)

    @property
    def acted_on(self) -> list[Sandbox]:
        return [*self.todo, *(row for row, _ in self.destroyed), *self.vanished]
