"""Everything that can be wrong between us and Convex, each with its remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sandboxes.providers.convex.deployment import ACT_AS_USER
from sandboxes.providers.convex.errors import ConvexError
from sandboxes.providers.convex.functions import NEEDED, OWN, REMOVES, Capabilities, Function

if TYPE_CHECKING:
    from sandboxes.providers.convex.gateway import ConvexGateway

MAX_SKEW = 30.0  # seconds
_KINDS: tuple[tuple[Literal["query", "mutation"], str], ...] = (
    ("query", "deployment:functions:runInternalQueries"),
    ("mutation", "deployment:functions:runInternalMutations"),
)


@dataclass(frozen=True, slots=True)
class CapabilityFinding:
    """`level` error: the projection does not work; warning: it works with less."""

    level: Literal["ok", "warning", "error"]
    code: str
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    findings: tuple[CapabilityFinding, ...]
    capabilities: Capabilities | None = None
    own_functions: bool = False

    @property
    def broken(self) -> bool:
        return any(finding.level == "error" for finding in self.findings)

    @property
    def codes(self) -> set[str]:
        return {finding.code for finding in self.findings if finding.level != "ok"}


def diagnose(gateway: ConvexGateway) -> Diagnosis:
    """Ask Convex who we are, what it is and what it has. One finding each; stops where asking is no use."""
    try:
        state = gateway.deployment_state()
        found = [_state(state), *_clock(gateway.clock_skew)]
        capabilities = gateway.capabilities(refresh=True)
        own = gateway.own_functions() if state == "running" else capabilities.present >= OWN
        found += _functions(capabilities, own=own)
        if state == "running":
            found += _permissions(gateway, own=own)
            found += _schema(gateway) if own else _acting(gateway)
    except ConvexError as error:
        return Diagnosis((CapabilityFinding("error", error.code, error.message, error.detail),))
    return Diagnosis(tuple(found), capabilities, own)


def _state(state: str) -> CapabilityFinding:
    if state == "running":
        return CapabilityFinding("ok", "convex_reachable", "Convex answers, the key is valid, the deployment runs.")
    return CapabilityFinding(
        "error", "convex_paused", f"Convex's deployment is {state}.", "Resume it on Convex's dashboard."
    )


def _clock(skew: float | None) -> list[CapabilityFinding]:
    if skew is None or abs(skew) <= MAX_SKEW:
        return []
    text = f"Convex's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's."
    return [CapabilityFinding("warning", "convex_clock_skew", text, "Set this machine's clock (NTP).")]


def _functions(capabilities: Capabilities, *, own: bool) -> list[CapabilityFinding]:
    if own:
        return [
            CapabilityFinding("ok", "convex_own_functions", "Sandkeeper's own functions are deployed and used.")
        ]
    if not capabilities.known:
        text = "The deploy key may not list functions, so nothing tells whether they are all there."
        remedy = "Add the permission deployment:data:view to the key."
        return [CapabilityFinding("warning", "convex_cannot_list", text, remedy)]
    missing = [_missing(name) for name in capabilities.missing if name not in capabilities.mismatched]
    wrong = [_mismatched(name, why) for name, why in capabilities.mismatched.items()]
    less = [
        CapabilityFinding(
            "warning", "convex_function_optional", f"Convex has no {text}.", "Deploy it, or do without."
        )
        for text in capabilities.missing_optional
    ]
    return [*_own_are_old(capabilities), *missing, *wrong, *less, *_links(capabilities)]


def _own_are_old(capabilities: Capabilities) -> list[CapabilityFinding]:
    if not capabilities.own_are_old:
        return []
    text = "Convex has an older sandkeeper.ts, which is not used."
    return [
        CapabilityFinding(
            "warning", "convex_own_functions_old", text, "Deploy this version's convex/sandkeeper.ts."
        )
    ]


def _links(capabilities: Capabilities) -> list[CapabilityFinding]:
    if not capabilities.leaves_links:
        return []
    text = f"After a delete the harness stays enabled and linked: {Function.REMOVE_ON_MAIN} unlinks nothing."
    return [CapabilityFinding("warning", "convex_harness_stays_linked", text, "Deploy convex/sandkeeper.ts.")]


def _schema(gateway: ConvexGateway) -> list[CapabilityFinding]:
    lacking = gateway.lacking()
    if not lacking:
        return []
    text = f"The application's schema lacks {', '.join(lacking)}: sandkeeper.ts fails as soon as it needs that."
    remedy = "Add it as convex/schema.ts has it, or correct its name in sandkeeper.ts, and deploy."
    return [CapabilityFinding("error", "convex_schema_incomplete", text, remedy)]


def _acting(gateway: ConvexGateway) -> list[CapabilityFinding]:
    if gateway.may_act_as_user() is not False:
        return []
    text = "The deploy key may not act as a user: names cannot be read, and no harness is linked."
    remedy = f"Add the permission {ACT_AS_USER} to the key, or deploy convex/sandkeeper.ts."
    return [CapabilityFinding("warning", "convex_may_not_act_as_user", text, remedy)]


def _missing(name: str) -> CapabilityFinding:
    text = f"Convex has no function {name}."
    return CapabilityFinding(
        "error", "convex_function_missing", text, "Deploy it, or convex/sandkeeper.ts instead."
    )


def _mismatched(name: str, why: str) -> CapabilityFinding:
    needed = name in NEEDED or name in REMOVES
    text = f"Convex's function {name} cannot be used: {why}."
    remedy = "Deploy the version that fits, or convex/sandkeeper.ts instead."
    return CapabilityFinding("error" if needed else "warning", "convex_function_mismatch", text, remedy)


def _permissions(gateway: ConvexGateway, *, own: bool) -> list[CapabilityFinding]:
    return [
        CapabilityFinding(
            "error",
            "convex_unauthorized",
            f"The deploy key may run no internal {kind}.",
            f"Add the permission {permission} to the key.",
        )
        for kind, permission in _KINDS
        if gateway.may_run(kind, own=own) is False
    ]
