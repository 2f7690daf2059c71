"""What the admin answers when it cannot: in its frame for staff, with a way back for everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import BadRequest, DisallowedHost
from django.shortcuts import render
from django.views import defaults

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


def not_found(request: HttpRequest, exception: Any = None) -> HttpResponse:
    said = str(exception.args[0]) if exception and exception.args and isinstance(exception.args[0], str) else ""
    return _page(request, 404, "Not found", said or "There is nothing at this address.")


def bad_request(request: HttpRequest, exception: Any = None) -> HttpResponse:
    if isinstance(exception, DisallowedHost):
        return defaults.bad_request(request, exception)  # a page in the frame would ask for the host again
    message = str(exception) if isinstance(exception, BadRequest) else "This address asks for what there is not."
    return _page(request, 400, "Not understood", message)


def forbidden(request: HttpRequest, exception: Any = None) -> HttpResponse:
    message = "You may not do this. Ask an administrator for the permission."
    return _page(request, 403, "Not allowed", message)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Most often the page had been open since before another sign-in."""
    message = "This page was too old to be sent, and nothing was done. Go back, reload it and send it again."
    return _page(request, 403, "Nothing was done", message)


def too_many_sign_ins(request: HttpRequest, seconds: int) -> HttpResponse:
    message = f"Too many sign-ins came from your address. Wait {seconds} seconds and try again."
    answer = _page(request, 429, "Too many sign-ins", message)
    answer["Retry-After"] = str(seconds)
    return answer


def _page(request: HttpRequest, status: int, title: str, message: str) -> HttpResponse:
    user = getattr(request, "user", None)
    is_staff = user is not None and user.is_active and user.is_staff
    template = "sandboxes/error.html" if is_staff else "sandboxes/error_outside.html"
    frame = admin.site.each_context(request)
    return render(request, template, {**frame, "title": title, "message": message}, status=status)
