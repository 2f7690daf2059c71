"""Waking the workers: a row is due now, so that nobody waits for the next look at what is due."""

from __future__ import annotations

from django.db import connection

CHANNEL = "sandkeeper_due"


def wake() -> None:
    """Tell every worker that listens, when the transaction commits. SQLite has no such thing: workers poll."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
