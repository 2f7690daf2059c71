"""Deploy keys of the emulated deployment and what each may do (`Authorization: Convex <key>[:<identity>]`)."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

QUERIES = "deployment:functions:runInternalQueries"
MUTATIONS = "deployment:functions:runInternalMutations"
ACTIONS = "deployment:functions:runInternalActions"
ACT_AS_USER = "deployment:functions:actAsUser"
DATA_VIEW = "deployment:data:view"
EVERYTHING = frozenset({QUERIES, MUTATIONS, ACTIONS, ACT_AS_USER, DATA_VIEW})
TO_RUN = {"Query": QUERIES, "Mutation": MUTATIONS, "Action": ACTIONS}


@dataclass(frozen=True)
class DeployKey:
    """`acting_as` is the identity whose part the key plays; None: nobody's, an admin's call."""

    permissions: frozenset[str] = EVERYTHING
    acting_as: dict[str, Any] | None = None


class Malformed(ValueError):
    """What follows the key is no identity."""


def split(given: str) -> tuple[str, dict[str, Any] | None]:
    """The key, and the identity behind its colon; a type before the name (`prod:name|…`) is part of the key.

    Raises Malformed for an identity that is no base64, no JSON or names nobody.
    """
    name, bar, rest = given.rpartition("|")
    secret, colon, encoded = rest.partition(":")
    return f"{name}{bar}{secret}", _identity(encoded) if colon else None


def _identity(encoded: str) -> dict[str, Any]:
    try:
        identity = json.loads(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError) as error:
        raise Malformed(str(error)) from error
    if not isinstance(identity, dict) or not all(isinstance(value, str | bool) for value in identity.values()):
        raise Malformed("an identity is an object of texts and booleans")
    if "tokenIdentifier" not in identity and not identity.keys() >= {"issuer", "subject"}:
        raise Malformed("an identity has a tokenIdentifier, or an issuer and a subject")
    return identity


def find(
    given: str, settings: dict[str, dict[str, Any]], acting_as: dict[str, Any] | None = None
) -> DeployKey | None:
    """The key of the setting `convex_keys`; None when it is unknown or revoked.

    `{key: {}}` may do everything; `{"permissions": […]}` limits it, `{"revoked": true}` refuses it.
    """
    for key, rules in settings.items():
        if _secret(key) == _secret(given) and not rules.get("revoked"):
            return DeployKey(frozenset(rules.get("permissions", EVERYTHING)), acting_as)
    return None


def _secret(key: str) -> str:
    """What Convex compares: the part behind the type and name, which it strips."""
    return key.rpartition("|")[2]
