"""`/live`, `/ready` and `/metrics`: for machines, which call by address, so no host name is asked for.

A dead worker is a notice, a metric and a line of `doctor`; it does not take the admin away.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from health_check.base import HealthCheck
from health_check.exceptions import ServiceUnavailable
from health_check.views import HealthCheckView

from project.networks import client_address, lies_in

Answer = Callable[[HttpRequest], HttpResponseBase]


class Probes:
    """Answers before anything else of the application can refuse."""

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response
        self._probes: dict[str, Answer] = {"/live": live, "/ready": ready, "/metrics": metrics}

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._probes.get(request.path_info, self._get_response)(request)


class Migrations(HealthCheck):
    def run(self) -> None:
        try:
            executor = MigrationExecutor(connection)
            waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
        finally:
            connection.close()  # this runs in a thread of its own
        if waiting:
            raise ServiceUnavailable(f"{len(waiting)} migrations are missing")

    def __repr__(self) -> str:
        return "Migrations"


class Ready(HealthCheckView):
    checks = ("health_check.checks.Database", Migrations)

    async def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        results = await asyncio.gather(*(check.get_result(None) for check in self.get_checks()))
        # Without the database's own words: the probe is open to everybody.
        said = {type(result.check).__name__.lower(): "failed" if result.error else "ok" for result in results}
        return JsonResponse(said, status=503 if "failed" in said.values() else 200)


def live(request: HttpRequest) -> HttpResponseBase:
    return JsonResponse({"process": "ok"})


def ready(request: HttpRequest) -> HttpResponseBase:
    return async_to_sync(Ready.as_view())(request)


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
