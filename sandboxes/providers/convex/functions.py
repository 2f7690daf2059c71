"""Which functions we call, with which arguments, and which of them a deployment has (`apiSpec`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

FunctionKind = Literal["query", "mutation"]


class Function(StrEnum):
    """Every path this project may call; nothing else is ever sent."""

    CREATE = "sandboxes:createInternal"
    OWNER = "sandboxes:getOwnerByDaytonaId"
    UPDATE_STATUS = "sandboxes:updateStatus"
    UPDATE_NAME = "sandboxes:updateMetadataInternal"
    TOUCH = "sandboxes:touchSandboxInternal"
    STATUS = "sandboxes:getStatusByDaytonaId"
    LIST_FOR_RECONCILE = "sandboxes:listForReconcile"
    REMOVE = "sandboxes:removeByDaytonaIdInternal"
    REMOVE_ON_MAIN = "sandboxes:removeByDaytonaId"
    COUNT = "sandboxes:countForUser"
    LIST_AS_OWNER = "sandboxes:list"
    HARNESS_AS_OWNER = "harnesses:get"
    APPLY = "sandkeeper:apply"
    LIST_ALL = "sandkeeper:list"
    PROBE = "sandkeeper:probe"
    API_SPEC = "_system/cli/modules:apiSpec"
    DEPLOYMENT_STATE = "_system/frontend/deploymentState:deploymentState"


@dataclass(frozen=True, slots=True)
class Signature:
    """How we call it. `optional` are sent when there is something to say."""

    kind: FunctionKind
    required: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


_ONE = {"daytonaSandboxId": "string"}
_NEW = {"userId": "string", "name": "string", "status": "union", "ephemeral": "boolean", "resources": "object"}
SIGNATURES: dict[Function, Signature] = {
    Function.CREATE: Signature("mutation", _ONE | _NEW, {"language": "string", "harnessId": "id"}),
    Function.OWNER: Signature("query", _ONE),
    Function.UPDATE_STATUS: Signature("mutation", _ONE | {"status": "union"}, {"errorMessage": "string"}),
    Function.UPDATE_NAME: Signature("mutation", _ONE | {"name": "string"}),
    Function.TOUCH: Signature("mutation", _ONE),
    Function.STATUS: Signature("query", _ONE),
    Function.LIST_FOR_RECONCILE: Signature("query", {"userId": "string"}),
    Function.REMOVE: Signature("mutation", _ONE),
    Function.REMOVE_ON_MAIN: Signature("mutation", _ONE),
    Function.COUNT: Signature("query", {"userId": "string"}),
    Function.LIST_AS_OWNER: Signature("query", {}),
    Function.HARNESS_AS_OWNER: Signature("query", {"id": "id"}),
    Function.APPLY: Signature("mutation", {"changes": "array"}),
    Function.LIST_ALL: Signature("query", {"cursor": "union"}, {"limit": "number"}),
    Function.PROBE: Signature("query", {}),
    Function.API_SPEC: Signature("query", {}),
    Function.DEPLOYMENT_STATE: Signature("query", {}),
}
ABSENT = "it is not deployed"
SYSTEM = frozenset({Function.API_SPEC, Function.DEPLOYMENT_STATE})
OWN = frozenset({Function.APPLY, Function.LIST_ALL, Function.PROBE})
# Without our own functions, these; and one of the two that remove.
NEEDED = (Function.CREATE, Function.OWNER, Function.UPDATE_STATUS)
REMOVES = (Function.REMOVE, Function.REMOVE_ON_MAIN)
OPTIONAL: dict[Function, str] = {
    Function.UPDATE_NAME: "a new name does not reach Convex",
    Function.TOUCH: "use is not shown in Convex",
    Function.LIST_FOR_RECONCILE: "--verify-convex asks sandbox by sandbox",
    Function.LIST_AS_OWNER: "names and messages cannot be read",
    Function.HARNESS_AS_OWNER: "no harness is linked",
}


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the deployment can do. `known` is False when the key may not list functions."""

    known: bool
    present: frozenset[Function] = frozenset()
    mismatched: Mapping[Function, str] = field(default_factory=lambda: MappingProxyType({}))

    def has(self, function: Function) -> bool | None:
        """None: unknown, try it."""
        return function in self.present if self.known else None

    def why_not(self, function: Function) -> str:
        """Why it cannot be called, in words; "" when it can or when nobody knows."""
        if self.has(function) is not False or function in SYSTEM:
            return ""
        return self.mismatched.get(function, ABSENT)

    @property
    def own_are_old(self) -> bool:
        """Our own functions are there in an older version, which is not used."""
        return not self.present >= OWN and Function.APPLY in self.present

    @property
    def leaves_links(self) -> bool:
        """What removes a row here unlinks nothing: the harness stays enabled and points at nothing."""
        return not self.present >= OWN and self.present.intersection(REMOVES) == {Function.REMOVE_ON_MAIN}

    @property
    def missing(self) -> tuple[str, ...]:
        """What is needed and is not there, in words; empty when unknown or when our own are deployed."""
        if not self.known or self.present >= OWN:
            return ()
        missing = [f"{name}" for name in NEEDED if name not in self.present]
        if not self.present.intersection(REMOVES):
            missing.append(" or ".join(REMOVES))
        return tuple(missing)

    @property
    def missing_optional(self) -> tuple[str, ...]:
        if not self.known or self.present >= OWN:
            return ()
        return tuple(f"{name}: {effect}" for name, effect in OPTIONAL.items() if name not in self.present)


UNKNOWN = Capabilities(known=False)


def read_spec(spec: Any) -> Capabilities:
    """From apiSpec's answer. A function that takes other arguments than ours counts as not there."""
    listed = {entry["identifier"].replace(".js:", ":", 1): entry for entry in spec if entry.get("identifier")}
    problems = {
        function: mismatch(SIGNATURES[function], listed[function]) for function in SIGNATURES if function in listed
    }
    return Capabilities(
        known=True,
        present=frozenset(function for function, problem in problems.items() if not problem),
        mismatched={function: problem for function, problem in problems.items() if problem},
    )


# A status is a union of words where it is declared strictly, an id a string where it is not.
_ALSO_FITS = {("union", "string"), ("union", "literal"), ("id", "string")}


def mismatch(signature: Signature, entry: Mapping[str, Any]) -> str:
    """Why we cannot call this function, in words; "" when we can."""
    kind = str(entry.get("functionType", "")).lower()
    if kind != signature.kind:
        return f"it is a {kind}, not a {signature.kind}"
    args = entry.get("args") or {"type": "any"}
    if args.get("type") != "object":
        return "" if args.get("type") == "any" else f"its arguments are a {args.get('type')}"
    declared: Mapping[str, Any] = args["value"]
    ours = {**signature.required, **signature.optional}
    for name, rule in declared.items():
        if name not in signature.required and not rule["optional"]:
            return f"it wants the argument {name}, which we do not send"
    for name, wanted in ours.items():
        if name not in declared:
            return f"it does not take the argument {name}"
        found = declared[name]["fieldType"]["type"]
        if found not in (wanted, "any", "union") and (wanted, found) not in _ALSO_FITS:
            return f"its argument {name} is a {found}, not a {wanted}"
    return ""
