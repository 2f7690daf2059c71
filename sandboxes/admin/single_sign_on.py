"""Staff sign in at an OpenID Connect provider, which says who they are and which groups they belong to.

The authorization code flow with PKCE is mozilla-django-oidc's. Ours are: addresses from the provider's discovery
document, the check that a token is this provider's and for us, and the groups. A sign-in that fails leads to the
sign-in page, which says why.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import jwt
import requests
import structlog
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, User
from django.core.exceptions import SuspiciousOperation
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.generic import View
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView

from project.readable import visible
from sandboxes.core.vocabulary import Actor, AuditAction
from sandboxes.services import audit

if TYPE_CHECKING:
    from collections.abc import Mapping

log = structlog.get_logger(__name__)

SUPERUSER = "superuser"  # in STAFF_OIDC_GROUPS: no group, but every permission
UNUSABLE = (requests.RequestException, jwt.PyJWTError, SuspiciousOperation, ValueError, KeyError)


@cache
def endpoints(issuer: str) -> dict[str, str]:
    """The provider's addresses by its discovery document, asked for once a process.

    Raises:
        requests.RequestException: it cannot be had.
        ValueError: it is another issuer's, or no such document.
        KeyError: it lacks an address.
    """
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    answer = requests.get(url, timeout=settings.OIDC_TIMEOUT)
    answer.raise_for_status()
    found = answer.json()
    if found["issuer"] != issuer:
        raise ValueError(f"{url} is the document of the issuer {found['issuer']}")
    names = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
    return {name: str(found[name]) for name in names}


def _endpoint(name: str) -> Any:
    return property(lambda _: endpoints(settings.STAFF_OIDC_ISSUER)[name])


class Backend(OIDCAuthenticationBackend):
    """Finds or makes the account that the provider's claims are about, and gives it its groups."""

    OIDC_OP_TOKEN_ENDPOINT = _endpoint("token_endpoint")
    OIDC_OP_USER_ENDPOINT = _endpoint("userinfo_endpoint")
    OIDC_OP_JWKS_ENDPOINT = _endpoint("jwks_uri")
    OIDC_RP_IDP_SIGN_KEY = None

    def __init__(self) -> None:
        # The parent's asks for the addresses, and Django makes a backend for each request.
        self.UserModel = get_user_model()
        self.OIDC_RP_CLIENT_ID = settings.OIDC_RP_CLIENT_ID
        self.OIDC_RP_CLIENT_SECRET = settings.OIDC_RP_CLIENT_SECRET
        self.OIDC_RP_SIGN_ALGO = settings.OIDC_RP_SIGN_ALGO

    def verify_token(self, token: str, **options: Any) -> dict[str, Any]:
        claims: dict[str, Any] = super().verify_token(token, **options)
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != settings.STAFF_OIDC_ISSUER or self.OIDC_RP_CLIENT_ID not in named:
            raise SuspiciousOperation("The token is of another issuer, or for another client.")
        return claims

    def get_userinfo(self, access_token: str, id_token: str, payload: dict[str, Any]) -> dict[str, Any]:
        """What the token and the provider say together: either may have the groups."""
        told: dict[str, Any] = super().get_userinfo(access_token, id_token, payload)
        if told.get("sub") != payload.get("sub"):
            raise SuspiciousOperation("The provider tells of somebody else than its token.")
        return {**payload, **told}

    def verify_claims(self, claims: Mapping[str, Any]) -> bool:
        problem = refusal(claims)
        self.request.sign_in_problem = problem
        return not problem

    def create_user(self, claims: Mapping[str, Any]) -> User:
        email = str(claims["email"]).lower()
        return self.update_user(User(username=email, email=email), claims)

    @transaction.atomic
    def update_user(self, user: User, claims: Mapping[str, Any]) -> User:
        """Make the account's rights what the provider says of its groups, and tell the audit log what changed."""
        before = _rights(user)
        named = rights(claims)
        user.is_staff = True
        user.is_superuser = SUPERUSER in named
        if user.pk is None:
            user.set_unusable_password()
        user.first_name = visible(str(claims.get("given_name") or ""))[:150]
        user.last_name = visible(str(claims.get("family_name") or ""))[:150]
        user.save()
        user.groups.set(Group.objects.filter(name__in=named))
        if before != (after := _rights(user)):
            action = AuditAction.ACCOUNT_CHANGED if before else AuditAction.ACCOUNT_ADDED
            actor = Actor.staff(user.username)
            reason = "The identity provider says so."
            audit.write(action, actor=actor, about=user, reason=reason, before=before, after=after)
        return user


def _rights(user: User) -> dict[str, Any]:
    if user.pk is None:
        return {}
    groups = sorted(user.groups.values_list("name", flat=True))
    return {"is_staff": user.is_staff, "is_superuser": user.is_superuser, "groups": groups}


def rights(claims: Mapping[str, Any]) -> set[str]:
    """The groups here, or SUPERUSER, for the provider's groups in these claims."""
    told = claims.get(settings.STAFF_OIDC_GROUPS_CLAIM) or []
    names = told if isinstance(told, list) else [told]
    return {ours for theirs, ours in settings.STAFF_OIDC_GROUPS.items() if theirs in names}


def refusal(claims: Mapping[str, Any]) -> str:
    """Why somebody with these claims may not sign in, or an empty text."""
    if not claims.get("email"):
        return "Your identity provider told no e-mail address of yours. Ask whoever runs it to."
    if claims.get("email_verified") is False:
        return "Your e-mail address is not verified at your identity provider. Verify it there, then sign in."
    if not rights(claims):
        return "None of your groups may sign in here. Ask whoever runs Sandkeeper which one you need."
    return ""


def _failed(request: HttpRequest, problem: str) -> HttpResponse:
    messages.error(request, problem)
    return redirect("admin:login")


class _Configured(View):
    """Not there where no provider is configured; what breaks on the way is told on the sign-in page."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not settings.STAFF_OIDC_ISSUER:
            raise Http404
        try:
            return super().dispatch(request, *args, **kwargs)
        except UNUSABLE as error:
            log.warning("single_sign_on_failed", issuer=settings.STAFF_OIDC_ISSUER, error=repr(error))
            return _failed(request, "The sign-in was not completed. Try again; if it stays so, see the log.")


class Begin(_Configured, OIDCAuthenticationRequestView):
    """Sends the browser to the provider."""

    OIDC_OP_AUTH_ENDPOINT = _endpoint("authorization_endpoint")

    def __init__(self, **options: Any) -> None:
        View.__init__(self, **options)
        self.OIDC_RP_CLIENT_ID = settings.OIDC_RP_CLIENT_ID


class Callback(_Configured, OIDCAuthenticationCallbackView):
    """Where the provider sends it back to."""

    def get(self, request: HttpRequest) -> Any:
        # The parent's signs out whoever is led here with an error: any page could do that.
        return self.login_failure() if request.GET.get("error") else super().get(request)

    def login_success(self) -> HttpResponse:
        answer: HttpResponse = super().login_success()
        self.request.session.set_expiry(settings.STAFF_OIDC_SESSION_SECONDS)
        return answer

    def login_failure(self) -> HttpResponse:
        if getattr(self, "user", None):
            return _failed(self.request, "Your account here is not active. Ask whoever runs Sandkeeper.")
        problem = getattr(self.request, "sign_in_problem", "")
        return _failed(self.request, problem or "You were not signed in by your identity provider. Try again.")
