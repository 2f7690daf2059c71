"""Credentials become a Principal: `Authorization: Bearer` with a service key or a token, or a staff session."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from rest_framework.authentication import BaseAuthentication

from project import attempts
from project.networks import client_address
from project.readable import UnreadableText, checked_owner_id
from sandboxes.api import tokens
from sandboxes.api.principals import Principal
from sandboxes.core.codes import Code, Refused, invalid
from sandboxes.services import keys

if TYPE_CHECKING:
    from rest_framework.request import Request

ON_BEHALF_OF = "X-On-Behalf-Of"
# Headers hold ASCII: what else an id holds is percent-encoded, as in an address.
ENCODED_OWNER = r"^[!-~]{1,3060}$"


class BearerAuthentication(BaseAuthentication):
    """A service key (`sandkeeper_…`), else an OIDC token."""

    def authenticate(self, request: Request) -> tuple[Principal, None] | None:
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        address = client_address(request._request)
        _limit(address)
        try:
            return _principal(scheme, credentials.strip(), request, address), None
        except Refused as refused:
            # An expired token was a good one: programs pass them on from one address for many people.
            if refused.code == Code.INVALID_TOKEN and not isinstance(refused, tokens.Expired):
                attempts.count(attempts.AttemptKind.CREDENTIALS, address)
            raise

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


def _limit(address: str) -> None:
    """Refuse an address that sent too many wrong credentials, before any are looked at."""
    seconds = attempts.seconds_to_wait(attempts.AttemptKind.CREDENTIALS, address)
    if seconds:
        message = "Too many wrong tokens or keys came from your address."
        raise Refused(Code.RATE_LIMITED, message, retry_after=seconds)


def _principal(scheme: str, credentials: str, request: Request, address: str) -> Principal:
    if scheme.lower() != "bearer" or not credentials:
        raise Refused(Code.INVALID_TOKEN, "Authorization is not of the form “Bearer <token or key>”.")
    named = named_owner(request)
    if credentials.startswith(keys.START):
        key = keys.authenticate(credentials, address=address)
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
    given = request.headers.get(ON_BEHALF_OF)
    if given is None:
        return None
    if not re.fullmatch(ENCODED_OWNER, given):
        raise invalid(ON_BEHALF_OF, "Percent-encode the id: the header takes printable ASCII without blanks.")
    try:
        return checked_owner_id(unquote(given, errors="strict"))
    except UnicodeDecodeError:
        raise invalid(ON_BEHALF_OF, "What is percent-encoded is no UTF-8.") from None
    except UnreadableText as error:
        raise invalid(ON_BEHALF_OF, str(error)) from None


class _Csrf(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> str:
        return reason


def _check_csrf(request: Request) -> None:
    check = _Csrf(lambda _: HttpResponse())
    check.process_request(request._request)
    reason = check.process_view(request._request, HttpResponse, (), {})
    if reason:
        raise Refused(Code.CSRF_FAILED, f"{reason}")
