from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sandboxes.core.vocabulary import Status
from sandboxes.models import Sandbox
from sandboxes.services import usage
from tests.support import rows

pytestmark = pytest.mark.django_db


def test_what_daytona_counts_is_summed_by_region_and_class() -> None:
    rows.sandbox("one", of="alice", cpu=2, memory_gb=4)
    rows.sandbox("two", of="bob", status=Status.STOPPING)
    rows.sandbox("three", of="bob", target="us")
    rows.sandbox("gone", of="alice", status="gone", observed_state="started")
    rows.sandbox("stopped", of="alice", status=Status.STOPPED)
    eu, us = usage.in_use("alice")
    assert (eu["target"], eu["sandboxes"], eu["in_use_cpu"], eu["in_use_memory_gb"]) == ("eu", 2, 3, 5)
    assert (eu["own_sandboxes"], eu["own_cpu"], eu["own_memory_gb"]) == (1, 2, 4)
    assert (us["target"], us["sandboxes"], us["own_sandboxes"]) == ("us", 1, 0)


def test_the_many_sandboxes_that_use_nothing_are_not_read() -> None:
    owner = rows.owner("alice")
    quiet = [
        Sandbox(owner=owner, name=f"box {n}", observed_state="archived", created_at=rows.ago(days=1))
        for n in range(3000)
    ]
    Sandbox.objects.bulk_create(quiet, batch_size=500)
    rows.sandbox(of="alice")
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ANALYZE sandboxes_sandbox")  # as autovacuum does; a SQLite file is never analysed
        with CaptureQueriesContext(connection) as asked:
            assert [region["sandboxes"] for region in usage.in_use()] == [1]
        explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
        cursor.execute(f"{explain} {asked[0]['sql']}")
        plan = "\n".join(str(line) for line in cursor.fetchall())
    assert "sandbox_live_state" in plan, plan
