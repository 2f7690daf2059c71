"""What may be said with an action besides who asks and why: one class for each that takes something of its own.

Its row of ACTIONS names the class. The body of a request and its schema, the fields of a form, what is stored, and
what the provider's call is sent with are read from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One parameter, for bodies and forms. `choices`: those that people are offered, by their words."""

    kind: type
    default: Any
    about: str
    least: int | None = None
    most: int | None = None
    choices: tuple[tuple[int, str], ...] = ()

    @property
    def example(self) -> Any:
        return self.default if self.least is None else self.least


def yes_or_no(about: str) -> Any:
    """A field of a class of parameters: no, unless it is said."""
    return _field(Described(kind=bool, default=False, about=about))


def whole_number(about: str, *, default: int | None = None, **options: Any) -> Any:
    """A field of a class of parameters: a number within `least` and `most`."""
    return _field(Described(kind=int, default=default, about=about, **options))


def _field(described: Described) -> Any:
    return field(default=described.default, metadata={"described": described})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What may be said with any action."""

    force: bool = yes_or_no(
        "Let it destroy the sandbox: an ephemeral one, or one that auto-delete ends within a day."
    )

    @classmethod
    @cache
    def described(cls) -> dict[str, Described]:
        return {one.name: one.metadata["described"] for one in fields(cls)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """As they were stored, without what this action does not take."""
        return cls(**{name: value for name, value in data.items() if name in cls.described()})

    def as_data(self) -> dict[str, Any]:
        """What was said otherwise than it is by default, as it is stored and shown."""
        values = {name: getattr(self, name) for name in self.described()}
        return {name: value for name, value in values.items() if value != self.described()[name].default}

    def own(self) -> dict[str, Any]:
        """What was said that only this action takes: its call is sent with that."""
        return {name: value for name, value in self.as_data().items() if name not in Parameters.described()}

    def joined_by(self, other: Parameters) -> Self:
        """These, asked for once more: whoever agreed to what is destroyed has agreed."""
        return replace(self, force=self.force or other.force)

    def are_shown_by(self, row: Any) -> bool:
        """Whether a sandbox is as they ask for, by the names that its fields have."""
        own = self.own()
        return bool(own) and all(getattr(row, name) == value for name, value in own.items())


AS_BY_DEFAULT = Parameters()
