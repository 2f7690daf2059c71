"""After a test with transactions the tables are emptied, as Django's `flush` leaves them, at a tenth of the cost.

`flush` makes every permission anew after each test, and its TRUNCATE of tables that are nearly empty is the
slowest statement that PostgreSQL has for them.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.test import TransactionTestCase

# What keeps the audit log from being emptied.
AUDIT = import_module("sandboxes.migrations.0031_audit_is_append_only")
# What `flush` would make again.
_KEPT = {"django_content_type", "auth_permission"}


@cache
def _tables(alias: str) -> list[str]:
    found = connections[alias].introspection.django_table_names(only_existing=True, include_views=False)
    return sorted(set(found) - _KEPT)


def _empty(self: TransactionTestCase) -> None:
    connection = connections[DEFAULT_DB_ALIAS]
    statements = [f"DELETE FROM {connection.ops.quote_name(table)}" for table in _tables(DEFAULT_DB_ALIAS)]
    if connection.vendor == "postgresql":
        statements = ["; ".join(statements)]  # sent at once
    # Foreign keys are looked at when the transaction ends, so that any order will do.
    from sandboxes.models import AuditEntry

    with transaction.atomic(), connection.cursor() as cursor:
        closed = AuditEntry.objects.exists()
        for statement in AUDIT.UNDO[connection.vendor] if closed else []:
            cursor.execute(statement)
        for statement in statements:
            cursor.execute(statement)
        for statement in AUDIT.DO[connection.vendor] if closed else []:
            cursor.execute(statement)


TransactionTestCase._fixture_teardown = _empty  # type: ignore[attr-defined]
