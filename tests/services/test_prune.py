from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandboxes import clock
from sandboxes.core.shown import wanted
from sandboxes.core.vocabulary import OperationStatus, Status
from sandboxes.models import (
    CircuitBreaker,
    ConvexProjection,
    IdempotencyAnswer,
    Notice,
    Operation,
    Sandbox,
    SandboxEvent,
    Sweep,
)
from sandboxes.services.prune import prune
from tests.support import rows

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db
OLD, YOUNG = {"days": 91}, {"days": 89}


def test_finished_operations_past_their_retention_go() -> None:
    sandbox = rows.sandbox()
    rows.operation(sandbox, at=rows.ago(**OLD))
    kept = [rows.operation(sandbox, at=rows.ago(**YOUNG))]
    kept.append(rows.operation(sandbox, status=OperationStatus.IN_PROGRESS, at=rows.ago(days=200)))
    assert prune()["operations"] == 1
    assert set(Operation.objects.all()) == set(kept)


def test_an_event_outlives_its_operation() -> None:
    sandbox = rows.sandbox()
    event = rows.event(sandbox, operation=rows.operation(sandbox, at=rows.ago(**OLD)))
    prune()
    event.refresh_from_db()
    assert event.operation is None


def test_old_events_go() -> None:
    sandbox = rows.sandbox()
    rows.event(sandbox, at=rows.ago(**OLD))
    young = rows.event(sandbox, at=rows.ago(**YOUNG))
    assert prune()["events"] == 1
    assert list(SandboxEvent.objects.all()) == [young]


def test_old_tombstones_go_with_their_timeline() -> None:
    old = rows.sandbox("old", status=Status.GONE, deleted_at=rows.ago(**OLD))
    rows.operation(old), rows.event(old)
    young = rows.sandbox("young", status=Status.GONE, deleted_at=rows.ago(**YOUNG))
    living = rows.sandbox("living", created_at=rows.ago(days=400))
    assert prune()["tombstones"] == 1
    assert set(Sandbox.objects.all()) == {young, living}
    told = SandboxEvent.objects.get()
    assert (told.kind, told.owner, told.data) == ("pruned", old.owner_id, {"sandbox": str(old.pk)})


@pytest.mark.parametrize(
    "fields",
    [
        {"projection": {"wanted_generation": 7}},
        {"projection": {"known": False, "resend_at": rows.ago(minutes=1)}},
        {"in_doubt_until": rows.ago(seconds=-60)},
    ],
    ids=["Convex still shows it", "Convex is to be told once more", "a call may still run"],
)
def test_a_tombstone_stays_while_something_waits_for_it(fields: dict[str, Any], settings: Settings) -> None:
    settings.CONVEX_URL = "http://127.0.0.1:9"
    doubt = fields.get("in_doubt_until")
    sandbox = rows.sandbox(
        status=Status.GONE, deleted_at=rows.ago(**OLD), **{k: v for k, v in fields.items() if k != "in_doubt_until"}
    )
    if doubt is not None:
        rows.call(rows.operation(sandbox), "create", in_doubt_until=doubt)
    assert prune()["tombstones"] == 0


def test_a_process_that_is_not_told_of_convex_forgets_it_neither(settings: Settings) -> None:
    settings.CONVEX_URL = ""
    CircuitBreaker.objects.create(name="convex")  # a worker has pushed
    rows.sandbox(status=Status.GONE, deleted_at=rows.ago(**OLD), projection={"wanted_generation": 7})
    assert prune()["tombstones"] == 0


def test_a_tombstone_that_convex_still_shows_is_taken_off_its_list_first(settings: Settings) -> None:
    settings.CONVEX_URL = "http://127.0.0.1:9"
    old = rows.sandbox(status=Status.GONE, intent="running", deleted_at=rows.ago(**OLD))
    rows.sandbox("young", status=Status.GONE, intent="running", deleted_at=rows.ago(**YOUNG))
    assert prune()["tombstones"] == 0
    behind = ConvexProjection.objects.due(clock.now()).behind().get()
    assert (behind.sandbox, wanted(behind)) == (old, None)
    prune()
    now = ConvexProjection.objects.get(pk=old.pk)
    assert now.wanted_generation == behind.wanted_generation, "once is enough"
    rows.level(old, known=False)
    assert prune()["tombstones"] == 1


def test_without_a_convex_no_tombstone_waits_for_one(settings: Settings) -> None:
    settings.CONVEX_URL = ""
    rows.sandbox(
        status=Status.GONE, deleted_at=rows.ago(**OLD), projection={"wanted_generation": 7, "pushed_generation": 0}
    )
    assert prune()["tombstones"] == 1


def test_kept_answers_closed_notices_and_sweeps_go() -> None:
    now = clock.now()
    for days in (0, 2):
        IdempotencyAnswer.objects.create(
            principal="owner:a", key=str(days), fingerprint="f", created_at=now - timedelta(days=days)
        )
    seen = {"message": "m", "remedy": "c", "first_seen_at": rows.ago(days=200), "last_seen_at": rows.ago(days=200)}
    Notice.objects.create(code="delete_stuck", closed_at=rows.ago(**OLD), **seen)
    Notice.objects.create(code="sweep_stale", **seen)
    for days in (15, 13):
        Sweep.objects.create(started_at=now - timedelta(days=days))
    counts = prune()
    assert (counts["idempotency"], counts["notices"], counts["sweeps"]) == (1, 1, 1)
    assert Notice.objects.get().code == "sweep_stale"


def test_each_kind_has_a_setting(settings: Settings) -> None:
    sandbox = rows.sandbox()
    rows.operation(sandbox, at=rows.ago(days=2)), rows.event(sandbox, at=rows.ago(days=2))
    settings.RETENTION_DAYS = settings.RETENTION_DAYS | {"events": 1}
    counts = prune()
    assert (counts["operations"], counts["events"]) == (0, 1)


def test_a_dry_run_counts_and_deletes_nothing() -> None:
    rows.event(rows.sandbox(), at=rows.ago(**OLD))
    assert prune(dry_run=True)["events"] == 1
    assert SandboxEvent.objects.count() == 1


def test_it_works_in_batches_and_can_be_ended_between_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandboxes.services.prune.BATCH", 2)
    sandbox = rows.sandbox()
    for _ in range(5):
        rows.event(sandbox, at=rows.ago(**OLD))
    left: list[int] = []

    def beat() -> None:
        left.append(SandboxEvent.objects.count())
        if len(left) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prune(beat=beat)
    assert left == [5, 3, 1]
