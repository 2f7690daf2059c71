"""Deploy keys of the emulated deployment and what each may do (`Authorization: Convex <key>`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

QUERIES = "deployment:functions:runInternalQueries"
MUTATIONS = "deployment:functions:runInternalMutations"
ACTIONS = "deployment:functions:runInternalActions"
DATA_VIEW = "deployment:data:view"
EVERYTHING = frozenset({QUERIES, MUTATIONS, ACTIONS, DATA_VIEW})
TO_RUN = {"Query": QUERIES, "Mutation": MUTATIONS, "Action": ACTIONS}


@dataclass(frozen=True)
class DeployKey:
    permissions: frozenset[str] = EVERYTHING


def find(given: str, settings: dict[str, dict[str, Any]]) -> DeployKey | None:
    """The key of the setting `convex_keys`; None when it is unknown or revoked.

    `{key: {}}` may do everything; `{"permissions": […]}` limits it, `{"revoked": true}` refuses it.
    """
    for key, rules in settings.items():
        if _secret(key) == _secret(given) and not rules.get("revoked"):
            return DeployKey(frozenset(rules.get("permissions", EVERYTHING)))
    return None


def _secret(key: str) -> str:
    """What Convex compares: the part behind the type and name, which it strips."""
    return key.rpartition("|")[2]
