"""What a Convex function is here: its declaration, its context, and the two ways it can fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from emulator.convex.validators import ANY, Validator

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.convex.tables import Tables

FunctionKind = Literal["Query", "Mutation", "Action"]


@dataclass
class Context:
    """What a function sees."""

    tables: Tables
    now: float  # ms, fixed for one call as Date.now() is inside a Convex function
    subject: str | None = None  # of the user's identity; a deploy key alone carries none
    lacks: frozenset[str] = frozenset()  # tables' indexes that the application's schema does not have
    accepted: list[tuple[str, Any]] = field(default_factory=list)  # (Daytona id, detail) for the log


class UserError(Exception):
    """`throw new Error(…)` in a function."""


class ConvexError(Exception):
    """`throw new ConvexError(data)`: the data reaches the caller, redacted or not."""

    def __init__(self, data: Any) -> None:
        super().__init__(str(data))
        self.data = data


@dataclass(frozen=True)
class Function:
    path: str  # module:export
    kind: FunctionKind
    handler: Callable[[Context, dict[str, Any]], Any]
    args: Validator = ANY
    public: bool = False

    @property
    def identifier(self) -> str:
        """The canonical path, as apiSpec and the texts about kinds write it."""
        return self.path.replace(":", ".js:", 1)

    def spec(self) -> dict[str, Any]:
        return {
            "identifier": self.identifier,
            "functionType": self.kind,
            "visibility": {"kind": "public" if self.public else "internal"},
            "args": self.args.spec(),
            "returns": {"type": "any"},
        }
