"""A limit of sign-ins by address, whatever the name: each costs a slow hash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from project import attempts
from project.networks import client_address
from sandboxes.admin.errors import too_many_sign_ins

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse
    from django.http.response import HttpResponseBase


class SignInLimit:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *view: Any) -> HttpResponse | None:
        match = request.resolver_match
        if request.method != "POST" or match is None or match.view_name != "admin:login":
            return None
        address = client_address(request)
        seconds = attempts.seconds_to_wait(attempts.AttemptKind.SIGN_IN, address)
        if seconds:
            return too_many_sign_ins(request, seconds)
        attempts.count(attempts.AttemptKind.SIGN_IN, address)
        return None
