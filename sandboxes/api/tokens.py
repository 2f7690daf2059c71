"""End users' tokens: OIDC JWTs of the one configured issuer (Clerk or any other)."""

from __future__ import annotations

from typing import Any

import jwt
from django.conf import settings

from project.readable import UnreadableText, checked_owner_id
from sandboxes.api.jwks import key_set
from sandboxes.core.codes import Code, Refused

ALGORITHMS = ("RS256", "ES256")
LEEWAY_SECONDS = 10


class Expired(Refused):
    """The token was valid until it expired: PyJWT looks at the signature first."""


def owner_of(token: str) -> str:
    """The `sub` of a valid token.

    Checked: the signature (RS256 or ES256, whatever the header claims), `iss`, `exp`, `nbf`, that `aud`
    (without one `azp`) is ours, and that the claims of OIDC_REQUIRED_CLAIMS are there.

    Raises:
        Refused: INVALID_TOKEN, IDENTITY_PROVIDER_UNAVAILABLE.
    """
    if not settings.OIDC_ISSUER:
        raise Refused(Code.INVALID_TOKEN, "This service takes no end users' tokens: OIDC_ISSUER is not set.")
    try:
        claims = _verified(token)
    except jwt.ExpiredSignatureError as error:
        raise Expired(Code.INVALID_TOKEN, f"The token is not valid: {_words(error)}.") from None
    except jwt.PyJWTError as error:
        raise Refused(Code.INVALID_TOKEN, f"The token is not valid: {_words(error)}.") from None
    if not _meant_for_us(claims):
        raise Refused(Code.INVALID_TOKEN, "The token is meant for another application (aud, azp).")
    owner = claims["sub"]
    try:
        return checked_owner_id(owner if isinstance(owner, str) else "")
    except UnreadableText as error:
        raise Refused(Code.INVALID_TOKEN, f"The token's sub names no owner. {error}") from None


def _verified(token: str) -> dict[str, Any]:
    header = jwt.get_unverified_header(token)
    if header.get("alg") not in ALGORITHMS:
        raise jwt.InvalidAlgorithmError("the algorithm is neither RS256 nor ES256")
    key = key_set(settings.OIDC_ISSUER, settings.OIDC_JWKS_URL).find(str(header.get("kid", "")))
    if key is None:
        raise jwt.InvalidKeyError("its key is not one of the issuer's")
    return jwt.decode(
        token,
        key,
        algorithms=list(ALGORITHMS),
        issuer=settings.OIDC_ISSUER,
        leeway=LEEWAY_SECONDS,
        options={"verify_aud": False, "require": ["iss", "exp", "sub", *settings.OIDC_REQUIRED_CLAIMS]},
    )


def _meant_for_us(claims: dict[str, Any]) -> bool:
    """`aud` decides. Clerk's session tokens carry none: there `azp`, the page that asked for the token, does."""
    named = claims.get("aud", claims.get("azp"))
    return any(one in settings.OIDC_AUDIENCE for one in (named if isinstance(named, list) else [named]))


def _words(error: jwt.PyJWTError) -> str:
    known: dict[type[jwt.PyJWTError], str] = {
        jwt.ExpiredSignatureError: "it has expired",
        jwt.ImmatureSignatureError: "it is not valid yet",
        jwt.InvalidSignatureError: "the signature is wrong",
        jwt.InvalidIssuerError: "another issuer made it",
        jwt.DecodeError: "it is not a JWT",
    }
    return known.get(type(error), str(error).rstrip("."))
