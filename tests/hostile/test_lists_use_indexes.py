"""That the database has a way to each list's rows that does not lead through all of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from django.core import checks
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from sandboxes.admin import search
from sandboxes.admin.owner import OwnerAdmin
from sandboxes.checks import parts_of_names_are_indexed
from sandboxes.core.vocabulary import Status
from sandboxes.models import AuditEntry, ConvexProjection, Owner, Sandbox, counting
from tests.api.callers import Api, problem, program
from tests.support import rows

if TYPE_CHECKING:
    from django.db.models import QuerySet

BY_INDEX = {
    "/sandboxes?order=name": "sandbox_name",
    "/sandboxes?order=-last_used": "sandbox_last_accessed",
    "/sandboxes?order=created_at": "sandbox_created",
    "/sandboxes?order=-updated_at": "sandbox_updated",
    "/sandboxes?harness_id=one": "sandbox_harness",
    "/sandboxes?q=at": "sandbox_name_prefix",
    "/operations?request_id=one": "operation_request",
    "/operations?code=timeout": "operation_code",
    "/operations?status=failed": "operation_failed",
    "/operations?action=delete": "operation_rare",
    "/capacity": "operation_no_room",
}


def plans(api: Api, path: str) -> str:
    with CaptureQueriesContext(connection) as queries:
        assert api.get(path).status_code == 200
    asked = [query["sql"] for query in queries if query["sql"].startswith("SELECT") and "FROM" in query["sql"]]
    with connection.cursor() as cursor:
        lines = []
        for sql in asked:
            cursor.execute("EXPLAIN " + sql)
            lines += [line for (line,) in cursor.fetchall()]
    return "\n".join(lines)


@pytest.mark.postgres
@pytest.mark.django_db
@pytest.mark.parametrize(("path", "index"), BY_INDEX.items())
def test_an_index_leads_to_the_rows(path: str, index: str) -> None:
    api = program(None, scopes=["sandboxes:read", "sandboxes:any"])
    api.get("/sandboxes")
    with connection.cursor() as cursor:
        # With a few rows other ways are cheaper; without them the plan tells which index fits.
        for way in ("seqscan", "sort" if "order" in path or path == "/capacity" else "indexscan"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
    assert index in plans(api, path).split()


@pytest.mark.postgres
@pytest.mark.django_db
def test_an_index_leads_to_parts_of_names() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    assert "sandbox_name_parts" in Sandbox.objects.filter(name__icontains="atlas").explain()


@pytest.mark.postgres
@pytest.mark.django_db
def test_what_is_stuck_is_among_few() -> None:
    for number in range(300):
        rows.sandbox(f"box-{number}", status=Status.STOPPED)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE sandboxes_sandbox")
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = Sandbox.objects.stuck(timezone.now()).explain()
    assert "sandbox_deleting" in plan
    assert "sandbox_live" not in plan


@pytest.mark.postgres
@pytest.mark.django_db
def test_each_status_is_counted_in_the_index_and_no_further_than_it_is_exact() -> None:
    with CaptureQueriesContext(connection) as queries, connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        counting.numbers_by_status()
    counted = queries[-1]["sql"]
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + counted)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert re.search(r"Limit.*\n.*Index Only Scan using sandbox_status_created", plan), plan


@pytest.mark.postgres
@pytest.mark.django_db
def test_indexes_lead_to_what_the_audit_log_is_searched_for() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = search.audit_entries(AuditEntry.objects.all(), "atlas").explain()
    assert plan.count("Bitmap Index Scan on audit_parts") == 4, plan
    assert "audit_request" in plan
    assert "Seq Scan" not in plan


@pytest.mark.postgres
@pytest.mark.django_db
def test_an_index_has_the_order_of_the_list_of_owners() -> None:
    with connection.cursor() as cursor:
        for way in ("seqscan", "sort"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
    assert "owner_created" in Owner.objects.order_by(*OwnerAdmin.ordering).explain()


@pytest.mark.django_db
@pytest.mark.parametrize("order", ["name", "-name", "last_used", "-last_used", "created_at", "-updated_at"])
def test_pages_of_equal_values_show_each_row_once(alice: Api, order: str) -> None:
    moment = rows.ago(hours=1)
    made = {
        str(rows.sandbox("same", of="alice", created_at=moment, last_accessed_at=moment).pk) for _ in range(5)
    }  # fmt: skip
    Sandbox.objects.update(updated_at=moment)
    path, seen = f"/sandboxes?order={order}&limit=2", []
    while path:
        page = alice.get(path).json()
        seen += [row["id"] for row in page["results"]]
        path = (page["next"] or "").partition("/api/v1")[2]
    assert sorted(seen) == sorted(made)
    assert seen == sorted(seen, reverse=order.startswith("-"))


@pytest.mark.django_db
def test_a_short_search_finds_beginnings(alice: Api) -> None:
    for name in ("Borneo", "atlas bo", "ébène"):
        rows.sandbox(name, of="alice")
    found = {
        q: {row["name"] for row in alice.get(f"/sandboxes?q={q}").json()["results"]} for q in ("bo", "tla", "é")
    }
    assert found == {"bo": {"Borneo"}, "tla": {"atlas bo"}, "é": {"ébène"}}
    problem(alice.get("/sandboxes?q="), "invalid_request")


@pytest.mark.postgres
@pytest.mark.django_db
def test_a_missing_index_of_names_is_told_with_the_command() -> None:
    assert parts_of_names_are_indexed(None, databases=["default"]) == []
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX sandbox_name_parts")
    (found,) = parts_of_names_are_indexed(None, databases=["default"])
    assert isinstance(found, checks.Warning)
    assert "CREATE EXTENSION IF NOT EXISTS pg_trgm" in str(found.hint)


@pytest.mark.postgres
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("found", "index"),
    [
        (ConvexProjection.objects.behind().values("pk"), "projection_behind"),
        (ConvexProjection.objects.due(timezone.now()).order_by("due_at", "pk"), "projection_due"),
    ],
    ids=["behind", "due"],
)
def test_an_index_leads_to_what_convex_is_to_be_told(found: QuerySet[Any], index: str) -> None:
    with connection.cursor() as cursor:
        for way in ("seqscan", "bitmapscan"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
    assert index in found.explain().split()
