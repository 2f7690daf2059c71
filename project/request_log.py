"""One log line for each request, by django-structlog, without what the answer to a sign-in carries in its query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import reverse
from django_structlog.middlewares import RequestMiddleware

if TYPE_CHECKING:
    from django.http import HttpRequest


class RequestLog(RequestMiddleware):
    @staticmethod
    def format_request(request: HttpRequest) -> str:
        # The provider sends the browser here with a code; nobody can use it twice, and no log has to hold it.
        is_sign_in = request.path.startswith(reverse("single_sign_on"))
        return f"{request.method} {request.path if is_sign_in else request.get_full_path()}"
