"""What a decision reads is what the ORM would read, and costs the same however much history there is."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from sandboxes import clock
from sandboxes.core.vocabulary import Action, OperationStatus
from sandboxes.models import DaytonaCall, IntentChange, Operation, Sandbox, reading
from sandboxes.services.sandbox_store import values
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import Model

WANTED = {"intent": "stopped", "actor_kind": "owner", "actor_id": "user_alice"}
BEFORE = {"from_intent": "running", "from_actor_kind": "staff", "from_actor_id": "admin"}


def stored(found: Iterable[Model]) -> list[dict[str, Any]]:
    return [values(row) for row in found]


@pytest.mark.django_db
def test_rows_are_as_the_orm_reads_them() -> None:
    box = rows.sandbox(labels={"team": "x"}, fetch_due_at=clock.now(), ephemeral=True)
    change = IntentChange.objects.create(sandbox=box, at=clock.now(), from_at=rows.ago(days=1), **WANTED, **BEFORE)
    active = rows.operation(box, status=OperationStatus.QUEUED, intent_change=change, search={"phase": "begin"})
    rows.call(active, Action.STOP, in_doubt_until=clock.now())
    with transaction.atomic():
        assert stored(reading.lock([box.pk])) == stored(Sandbox.objects.all())
    (found,) = reading.operations([], [box.pk])
    assert stored([found.row]) == stored(Operation.objects.all())
    assert (found.row._state.adding, found.row._state.db) == (False, "default")
    assert found.row.intent_change is not None
    assert stored([found.row.intent_change]) == stored([change])
    assert abs(found.present - clock.now()) < timedelta(minutes=1)
    assert stored(reading.calls([box.pk])) == stored(DaytonaCall.objects.all())


@pytest.mark.django_db
def test_an_operation_that_has_ended_is_read_for_the_turn_that_is_about_it_alone() -> None:
    box = rows.sandbox()
    ended, _other = rows.operation(box), rows.operation(box)
    active = rows.operation(box, status=OperationStatus.IN_PROGRESS)
    found = reading.operations([ended.pk], [box.pk])
    assert {one.row.pk for one in found} == {ended.pk, active.pk}
    assert len(found) == 2, "each once"
    assert [one.row.pk for one in reading.operations([active.pk], [box.pk])] == [active.pk]


@pytest.mark.django_db
def test_a_hold_is_its_owners() -> None:
    held, free = rows.sandbox(of="user_alice"), rows.sandbox(of="user_bob")
    active = {rows.operation(box, status=OperationStatus.QUEUED).pk: box.owner_id for box in (held, free)}
    rows.owner("user_alice", hold_since=clock.now())
    found = {active[one.row.pk]: one.on_hold for one in reading.operations([], [held.pk, free.pk])}
    assert found == {"user_alice": True, "user_bob": False}


@pytest.mark.django_db
def test_of_calls_those_matter_that_a_fetch_may_still_show() -> None:
    box = rows.sandbox()
    old = rows.ago(hours=1)
    ended = rows.operation(box, at=old)
    active = rows.operation(box, status=OperationStatus.IN_PROGRESS, at=old)
    rows.call(ended, "first", "accepted", made_at=old)
    rows.call(ended, "in doubt", made_at=old, in_doubt_until=clock.now())
    rows.call(ended, "just now", "accepted", made_at=rows.ago(minutes=5))
    rows.call(active, "of the active", "accepted", made_at=old)
    rows.call(rows.operation(rows.sandbox()), "another's", "accepted")
    assert [call.name for call in reading.calls([box.pk])] == ["in doubt", "just now", "of the active"]


@pytest.mark.postgres
@pytest.mark.django_db
def test_no_table_is_walked_through() -> None:
    box = rows.sandbox()
    active = rows.operation(box, status=OperationStatus.QUEUED)
    with CaptureQueriesContext(connection) as asked:
        reading.lock([box.pk])
        reading.operations([active.pk], [box.pk])
        reading.calls([box.pk])
    with connection.cursor() as cursor:
        # Of a few rows reading all is cheaper; without that the plan tells whether there is another way.
        cursor.execute("SET LOCAL enable_seqscan = off")
        for query in asked:
            cursor.execute("EXPLAIN " + query["sql"])
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Seq Scan" not in plan, plan
