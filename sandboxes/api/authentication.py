"""Credentials become a Principal: `Authorization: Bearer` with a service key or a token, or a staff session."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from project.readable import UnreadableText, checked_owner_id
from sandboxes.api import tokens
from sandboxes.api.principals import Principal
from sandboxes.codes import Code, Refused, invalid
from sandboxes.services import keys

ON_BEHALF_OF = "X-On-Behalf-Of"


class BearerAuthentication(BaseAuthentication):
    """A service key (`sandkeeper_…`), else an OIDC token."""

    def authenticate(self, request: Request) -> tuple[Principal, None] | None:
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer" or not credentials.strip():
            raise Refused(Code.INVALID_TOKEN, "Authorization is not of the form “Bearer <token or key>”.")
        return _principal(credentials.strip(), request), None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="sandkeeper"'


class StaffSessionAuthentication(BaseAuthentication):
    """The admin's session, for the docs page; changes need the CSRF token."""

    def authenticate(self, request: Request) -> tuple[Principal, None] | None:
        account = getattr(request._request, "user", None)
        if account is None or not account.is_active or not account.is_staff:
            return None
        _check_csrf(request)
        return Principal.of_staff(account, owner=named_owner(request)), None


def _principal(credentials: str, request: Request) -> Principal:
    named = named_owner(request)
    if credentials.startswith(keys.START):
        key = keys.authenticate(credentials, address=address_of(request._request))
        return Principal.of_key(key, owner=named)
    owner = tokens.owner_of(credentials)
    if named not in (None, owner):
        raise Refused(Code.PERMISSION_DENIED, f"A token acts for its own owner alone; leave out {ON_BEHALF_OF}.")
    return Principal.of_owner(owner)


def named_owner(request: Request) -> str | None:
    """The owner of X-On-Behalf-Of, None without the header.

    Raises:
        Refused: INVALID_REQUEST.
    """
    owner = request.headers.get(ON_BEHALF_OF)
    if owner is None:
        return None
    try:
        return checked_owner_id(owner)
    except UnreadableText as error:
        raise invalid(ON_BEHALF_OF, str(error)) from None


def address_of(request: HttpRequest) -> str:
    """The caller's IP address; behind a trusted proxy the one that proxy appended, never one the caller wrote."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.TRUST_PROXY else ""
    address: str = forwarded.rpartition(",")[2].strip() or request.META.get("REMOTE_ADDR", "")
    return address


class _Csrf(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> str:
        return reason


def _check_csrf(request: Request) -> None:
    check = _Csrf(lambda _: HttpResponse())
    check.process_request(request._request)
    reason = check.process_view(request._request, HttpResponse, (), {})
    if reason:
        raise Refused(Code.CSRF_FAILED, f"{reason}")
