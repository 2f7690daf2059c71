"""What was said with operations and jobs, carried forwards and back."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.upgrading.test_migrations import NOW, migrate, old, sandbox, states

__all__ = ["old", "states"]
pytestmark = pytest.mark.django_db(transaction=True)
BEFORE = ("sandboxes", "0041_owner_of_an_active_operation")
# What a job said of itself; what is kept of that.
JOBS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"action": "stop"}, {}),
    ({"action": "stop", "force": True}, {"force": True}),
    ({"action": "protect"}, {}),
    ({"action": "protect", "hours": 168}, {"hours": 168}),
    ({"action": "protect", "hours": 8}, {"hours": 8}),
]


@pytest.mark.parametrize("old", [BEFORE], indirect=True)
def test_what_was_said_with_an_operation_or_a_job_is_kept(old: Any) -> None:
    pk = sandbox(old)
    operations, jobs = (old.get_model("sandboxes", name).objects for name in ("Operation", "Job"))
    common = {"sandbox_id": pk, "action": "stop", "status": "failed", "created_at": NOW}
    forced, plain = (operations.create(id=uuid4(), force=force, **common).pk for force in (True, False))
    made = [jobs.create(id=uuid4(), total=1, created_at=NOW, **before).pk for before, _ in JOBS]
    new = migrate()
    said = new.get_model("sandboxes", "Operation").objects.in_bulk()
    assert (said[forced].parameters, said[plain].parameters) == ({"force": True}, {})
    asked = new.get_model("sandboxes", "Job").objects.in_bulk()
    assert [asked[one].parameters for one in made] == [after for _, after in JOBS]
    back = migrate(BEFORE)
    was = back.get_model("sandboxes", "Operation").objects.in_bulk()
    assert (was[forced].force, was[plain].force) == (True, False)
    had = back.get_model("sandboxes", "Job").objects.in_bulk()
    assert [(had[one].force, had[one].hours) for one in made] == [
        (before.get("force", False), before.get("hours", 24)) for before, _ in JOBS
    ]
