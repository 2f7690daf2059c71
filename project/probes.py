"""`/live`, `/ready` and `/metrics`: for machines, which call by address, so no host name is asked for.

A dead worker is a notice, a metric and a line of `doctor`; it does not take the admin away.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from project.networks import client_address, lies_in
from project.unusable import RETRY_AFTER, Unusable, is_read_only, missing_migrations, why_unusable

log = structlog.get_logger(__name__)

Answer = Callable[[HttpRequest], HttpResponseBase]


class Probes:
    """Answers before anything else of the application can refuse."""

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response
        self._probes: dict[str, Answer] = {"/live": live, "/ready": ready, "/metrics": metrics}

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._probes.get(request.path_info, self._get_response)(request)


def live(request: HttpRequest) -> HttpResponseBase:
    return JsonResponse({"process": "ok"})


def ready(request: HttpRequest) -> HttpResponseBase:
    """Whether requests can be answered, or why not. Without the database's own words: everybody may ask."""
    said = {"database": "ok", "migrations": "unknown"}
    try:
        if is_read_only():
            said["database"] = "read-only"
        missing = len(missing_migrations())
        said["migrations"] = f"{missing} missing: run manage.py migrate" if missing else "ok"
    except (DatabaseError, InterfaceError) as error:
        said["database"] = "read-only" if why_unusable(error) == Unusable.READ_ONLY else "no answer"
        log.warning("database_unusable", error=str(error).strip())
    is_ready = set(said.values()) == {"ok"}
    if is_ready:
        return JsonResponse(said)
    return JsonResponse(said, status=503, headers={"Retry-After": str(RETRY_AFTER)})


def metrics(request: HttpRequest) -> HttpResponseBase:
    if not _may_see_metrics(request):
        return HttpResponse("There is nothing here.\n", status=404, content_type="text/plain")
    from sandboxes.metrics import CONTENT_TYPE, exposition

    return HttpResponse(exposition(), content_type=CONTENT_TYPE)


def _may_see_metrics(request: HttpRequest) -> bool:
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
    if settings.METRICS_TOKEN and hmac.compare_digest(given, settings.METRICS_TOKEN.encode()):
        return True
    return lies_in(client_address(request), settings.METRICS_NETWORKS)
