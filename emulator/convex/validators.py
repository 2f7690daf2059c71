"""Declared argument validators: the check with Convex's texts, and the JSON that `apiSpec` shows.

Texts and order of checks are those of Convex's crates/common/src/schemas/validator.rs: declared fields
in alphabetical order first, then extra fields; a union with several members reports only itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from emulator.convex.values import show

TableOf = Callable[[str], str | None]  # the table an id belongs to; None when it is no id


@dataclass(frozen=True)
class Validator:
    def check(self, value: Any, *, table_of: TableOf, path: str = "") -> str | None:
        """None, or the text that Convex puts behind `ArgumentValidationError: `."""
        return None if self.fits(value) else no_match(self, value, path)

    def fits(self, value: Any) -> bool:
        return True

    def spec(self) -> dict[str, Any]:
        return {"type": "any"}

    def __str__(self) -> str:
        return "v.any()"


@dataclass(frozen=True)
class Plain(Validator):
    """null, number (float64), boolean or string."""

    name: str
    kind: type

    def fits(self, value: Any) -> bool:
        return type(value) is self.kind

    def spec(self) -> dict[str, Any]:
        return {"type": self.name}

    def __str__(self) -> str:
        return f"v.{'float64' if self.name == 'number' else self.name}()"


@dataclass(frozen=True)
class Literal(Validator):
    value: str

    def check(self, value: Any, *, table_of: TableOf, path: str = "") -> str | None:
        if value == self.value:
            return None
        return f"`{show(value)}` does not match literal validator `{self}`.{_where(path)}"

    def spec(self) -> dict[str, Any]:
        return {"type": "literal", "value": self.value}

    def __str__(self) -> str:
        return f"v.literal({json.dumps(self.value)})"


@dataclass(frozen=True)
class Id(Validator):
    table: str

    def check(self, value: Any, *, table_of: TableOf, path: str = "") -> str | None:
        found = table_of(value) if isinstance(value, str) else None
        if found is None:
            return no_match(self, value, path)
        if found != self.table:
            return (
                f'Found ID "{value}" from table `{found}`, which does not match the table name '
                f"in validator `{self}`.{_where(path)}"
            )
        return None

    def spec(self) -> dict[str, Any]:
        return {"type": "id", "tableName": self.table}

    def __str__(self) -> str:
        return f'v.id("{self.table}")'


@dataclass(frozen=True)
class Array(Validator):
    item: Validator

    def check(self, value: Any, *, table_of: TableOf, path: str = "") -> str | None:
        if not isinstance(value, list):
            return no_match(self, value, path)
        errors = (self.item.check(item, table_of=table_of, path=f"{path}[{i}]") for i, item in enumerate(value))
        return next((error for error in errors if error), None)

    def spec(self) -> dict[str, Any]:
        return {"type": "array", "value": self.item.spec()}

    def __str__(self) -> str:
        return f"v.array({self.item})"


@dataclass(frozen=True)
class Union(Validator):
    members: tuple[Validator, ...]

    def check(self, value: Any, *, table_of: TableOf, path: str = "") -> str | None:
        if any(member.check(value, table_of=table_of, path=path) is None for member in self.members):
            return None
        return no_match(self, value, path)

    def spec(self) -> dict[str, Any]:
        return {"type": "union", "value": [member.spec() for member in self.members]}

    def __str__(self) -> str:
        return f"v.union({', '.join(map(str, self.members))})"


@dataclass(frozen=True)
class Object(Validator):
    required: dict[str, Validator]
    optional: dict[str, Validator] = field(default_factory=dict)

    @property
    def fields(self) -> dict[str, Validator]:
        return dict(sorted((self.required | self.optional).items()))

    def check(self, value: Any, *, table_of: TableOf, path: str = "") -> str | None:
        if not isinstance(value, dict):
            return no_match(self, value, path)
        for name, validator in self.fields.items():
            if name in value:
                error = validator.check(value[name], table_of=table_of, path=f"{path}.{name}")
                if error:
                    return error
            elif name in self.required:
                return self._text(
                    f"Object is missing the required field `{name}`. Consider wrapping the field "
                    "validator in `v.optional(...)` if this is expected.",
                    value,
                    path,
                )
        extra = next((name for name in sorted(value) if name not in self.fields), None)
        if extra is not None:
            return self._text(f"Object contains extra field `{extra}` that is not in the validator.", value, path)
        return None

    def _text(self, problem: str, value: Any, path: str) -> str:
        return f"{problem}\n{_where(path)}\nObject: {show(value)}\nValidator: {self}"

    def spec(self) -> dict[str, Any]:
        return {
            "type": "object",
            "value": {
                name: {"fieldType": validator.spec(), "optional": name in self.optional}
                for name, validator in self.fields.items()
            },
        }

    def __str__(self) -> str:
        parts = (
            f"{name}: v.optional({validator})" if name in self.optional else f"{name}: {validator}"
            for name, validator in self.fields.items()
        )
        return "v.object({" + ", ".join(parts) + "})"


ANY = Validator()
NULL = Plain("null", type(None))
STRING = Plain("string", str)
BOOLEAN = Plain("boolean", bool)
NUMBER = Plain("number", float)


def literals(*words: str) -> Union:
    return Union(tuple(Literal(word) for word in words))


def no_match(validator: Validator, value: Any, path: str) -> str:
    return f"Value does not match validator.\n{_where(path)}\nValue: {show(value)}\nValidator: {validator}"


def _where(path: str) -> str:
    return f"Path: {path}" if path else ""
