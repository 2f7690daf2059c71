"""A database that cannot be used now: why, by the error that a query raised, and what the web answers then."""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from typing import TYPE_CHECKING

import structlog
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, OperationalError, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpResponse
from django.views import defaults

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.migrations import Migration
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

log = structlog.get_logger(__name__)
RETRY_AFTER = 5  # seconds


class Unusable(StrEnum):
    """Why, in words for whoever asked for something."""

    READ_ONLY = "The database takes no changes now."
    OTHER_TABLES = "The database has the tables of another version: somebody has to run `manage.py migrate`."
    AWAY = "The database does not answer."


_BY_STATE = {"25006": Unusable.READ_ONLY, "42P01": Unusable.OTHER_TABLES, "42703": Unusable.OTHER_TABLES}
_BY_WORDS = (  # SQLite's
    (re.compile("attempt to write a readonly database"), Unusable.READ_ONLY),
    (re.compile("no such (table|column)|has no column named"), Unusable.OTHER_TABLES),
)


def why_unusable(error: BaseException | None) -> Unusable | None:
    """What of the database an error tells; None for one that is not the database's fault."""
    if not isinstance(error, DatabaseError | InterfaceError):
        return None
    known = _BY_STATE.get(getattr(error.__cause__, "sqlstate", None) or "")
    if known is not None:
        return known
    if not isinstance(error, OperationalError | InterfaceError):
        return None
    said = str(error)
    return next((meant for words, meant in _BY_WORDS if words.search(said)), Unusable.AWAY)


def missing_migrations() -> list[Migration]:
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    return [migration for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]


def is_read_only() -> bool:
    connection = connections[DEFAULT_DB_ALIAS]
    asks = "SELECT current_setting('transaction_read_only') = 'on'"  # also on each standby
    with connection.cursor() as cursor:
        cursor.execute(asks if connection.vendor == "postgresql" else "PRAGMA query_only")
        return bool(cursor.fetchone()[0])


class UnusableDatabase:
    """Answers 503 where a view met a database that cannot be used."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_exception(self, _request: HttpRequest, error: Exception) -> HttpResponse | None:
        return _page(error)


def server_error(request: HttpRequest) -> HttpResponse:
    """The URLconf's handler500: also for what a middleware met."""
    return _page(sys.exc_info()[1]) or defaults.server_error(request)


def _page(error: BaseException | None) -> HttpResponse | None:
    """Without the frame of the admin, which asks the database who looks at it."""
    why = why_unusable(error)
    if why is None:
        return None
    log.warning("database_unusable", why=why.name.lower(), error=str(error).strip())
    text = f"{why.value}\nNothing was done. Try again in a moment.\n"
    return HttpResponse(
        text, status=503, content_type="text/plain; charset=utf-8", headers={"Retry-After": str(RETRY_AFTER)}
    )
