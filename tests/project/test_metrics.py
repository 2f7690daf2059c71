from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sandboxes import clock
from sandboxes.core.codes import NoticeCode
from sandboxes.core.vocabulary import Action, ActorKind, OperationStatus, Source, Status
from sandboxes.metrics import exposition
from sandboxes.models import CircuitBreaker, Operation, Owner, Sandbox, Sweep, WorkerHeartbeat
from sandboxes.providers.counters import BOUNDS
from sandboxes.services import notices
from sandboxes.services.doctor.installation import look_at_projection
from sandboxes.services.lifecycle import turns
from tests.support import rows
from tests.support.environment import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import Settings

pytestmark = pytest.mark.django_db


def scraped() -> dict[tuple[str, ...], float]:
    """Every sample by name and the values of its labels, in the order of the labels' names."""
    families = text_string_to_metric_families(exposition().decode())
    return {
        (
            sample.name.removeprefix("sandkeeper_"),
            *(sample.labels[name] for name in sorted(sample.labels)),
        ): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.fixture
def sandbox() -> Sandbox:
    now = clock.now()
    row = Sandbox.objects.create(
        name="s",
        owner=Owner.objects.create(id="user_m"),
        status=Status.RUNNING,
        daytona_id="d",
        created_at=now,
    )
    rows.project(row, wanted_generation=2, behind_since=now - timedelta(minutes=3))
    return row


def operation(sandbox: Sandbox, action: Action, **fields: object) -> Operation:
    given = {"actor_kind": ActorKind.STAFF, "actor_id": "ada", "source": Source.ADMIN, "created_at": clock.now()}
    return Operation.objects.create(sandbox=sandbox, owner=sandbox.owner_id, action=action, **(given | fields))


def test_an_empty_installation_has_every_gauge_at_nought() -> None:
    found = scraped()
    assert found["sandboxes", "running"] == 0
    assert found["operations_active", "start"] == 0
    assert (found["workers",], found["rows_failing",]) == (0, 0)
    assert (found["due_rows", "people"], found["due_oldest_seconds", "people"]) == (0, 0)
    assert ("due_rows", "pushes") not in found, "nobody has a Convex"
    assert found["notices_open", "org_suspended"] == 0
    assert ("sweep_age_seconds",) not in found


def test_sandboxes_and_what_convex_has_not_been_told(sandbox: Sandbox) -> None:
    assert scraped()["behind_sandboxes",] == 0, "no worker has a Convex"
    CircuitBreaker.objects.create(name="convex")
    found = scraped()
    assert found["sandboxes", "running"] == 1
    assert found["behind_sandboxes",] == 1
    assert 180 <= found["behind_oldest_seconds",] < 240


def test_what_convex_was_told_is_not_behind(sandbox: Sandbox, settings: Settings) -> None:
    settings.CONVEX_URL = "https://x.convex.cloud"
    rows.level(sandbox)
    found = scraped()
    assert (found["behind_sandboxes",], found["behind_oldest_seconds",]) == (0, 0)
    assert [finding.text for finding in look_at_projection()] == ["0 sandboxes wait for Convex, none for long."]


def test_operations_in_flight_and_ended(sandbox: Sandbox) -> None:
    now = clock.now()
    ago = now - timedelta(minutes=2)
    operation(sandbox, Action.STOP, created_at=ago, due_at=ago)
    ended = {"status": OperationStatus.FAILED, "code": "timeout", "finished_at": now}
    operation(sandbox, Action.START, created_at=now - timedelta(seconds=60), **ended)
    operation(sandbox, Action.START, created_at=now - timedelta(seconds=20), **ended)
    old = {"status": OperationStatus.SUCCEEDED, "finished_at": now - timedelta(minutes=11), "created_at": ago}
    operation(sandbox, Action.ARCHIVE, **old)
    operation(sandbox, Action.STOP, status=OperationStatus.SUCCEEDED, finished_at=now, source=Source.EVICTION)
    found = scraped()
    assert found["operations_active", "stop"] == 1
    assert (found["due_rows", "people"], found["due_rows", "system"]) == (1, 0)
    assert 120 <= found["due_oldest_seconds", "people"] < 180
    assert 120 <= found["operations_oldest_seconds",] < 180
    assert found["operations_ended", "start", "timeout", "failed"] == 2
    assert round(found["operations_mean_seconds", "start", "timeout", "failed"]) == 40
    assert round(found["operations_longest_seconds", "start", "timeout", "failed"]) == 60
    assert not any("archive" in name and name[0] == "operations_ended" for name in found)
    assert found["evictions",] == 1


def test_what_is_due_is_told_by_lane(sandbox: Sandbox) -> None:
    ago = clock.now() - timedelta(minutes=2)
    CircuitBreaker.objects.create(name="convex")
    Sandbox.objects.update(fetch_due_at=ago, touch_due_at=ago, failures=1)
    operation(sandbox, Action.STOP, actor_kind=ActorKind.SYSTEM, due_at=ago)
    found = scraped()
    assert {lane: found["due_rows", lane] for lane in ("people", "system", "fetches", "pushes", "touches")} == {
        "people": 0, "system": 1, "fetches": 1, "pushes": 1, "touches": 1,
    }  # fmt: skip
    assert found["rows_failing",] == 1


def test_what_a_worker_has_taken_is_not_due(sandbox: Sandbox) -> None:
    operation(sandbox, Action.STOP, due_at=clock.now())
    assert scraped()["due_rows", "people"] == 1
    assert turns.claim([sandbox.pk])
    assert scraped()["due_rows", "people"] == 0


def test_workers_and_the_calls_they_counted() -> None:
    now = clock.now()
    calls = {"daytona start rate_limited": [3, 0.5], "convex sandboxes:updateStatus ok": [7, 0.25]}
    rows = [("alive", now, None), ("dead", now - timedelta(minutes=5), None), ("ended", now, now)]
    for name, beat, stopped in rows:
        WorkerHeartbeat.objects.create(
            worker_id=name,
            host="h",
            pid=1,
            places=30,
            started_at=beat,
            beat_at=beat,
            stopped_at=stopped,
            counters=calls,
            lanes={"people": [3, 20], "system": [10, 10]},
        )
    found = scraped()
    assert found["workers",] == 1
    assert (found["in_flight", "people"], found["in_flight", "system"]) == (3, 10), "of those that live"
    assert (found["places_used", "people"], found["places_used", "system"]) == (0.15, 1.0)
    assert found["worker_silence_seconds", "dead"] >= 300
    assert ("worker_silence_seconds", "ended") not in found
    assert found["calls_total", "start", "rate_limited", "daytona", "ended"] == 3
    assert found["call_seconds_total", "sandboxes:updateStatus", "ok", "convex", "alive"] == 0.25


def test_how_long_calls_took_is_a_histogram_by_system_and_result() -> None:
    now = clock.now()
    lengths = [[0] * (len(BOUNDS) + 1) for _ in range(2)]
    lengths[0][BOUNDS.index(0.1)], lengths[1][BOUNDS.index(0.1)], lengths[1][-1] = 2, 1, 1
    counted = {"daytona get ok": [2, 0.15, lengths[0]], "daytona start ok": [2, 40.0, lengths[1]]}
    given = {"host": "h", "pid": 1, "places": 1, "started_at": now, "beat_at": now}
    WorkerHeartbeat.objects.create(worker_id="w", counters=counted, **given)
    WorkerHeartbeat.objects.create(worker_id="of before", counters={"daytona get ok": [9, 1.0]}, **given)
    found = scraped()
    until = {
        bound: found["call_latency_seconds_bucket", bound, "ok", "daytona", "w"]
        for bound in ("0.05", "0.1", "30.0", "+Inf")
    }
    assert until == {"0.05": 0, "0.1": 3, "30.0": 3, "+Inf": 4}
    assert found["call_latency_seconds_sum", "ok", "daytona", "w"] == 40.15
    assert found["call_latency_seconds_count", "ok", "daytona", "w"] == 4


def test_a_process_that_died_is_told_from_one_that_was_stopped() -> None:
    now = clock.now()
    long_ago = now - timedelta(minutes=5)
    for name, stopped in (("died", None), ("stopped", long_ago)):
        WorkerHeartbeat.objects.create(
            worker_id=name, role=WorkerHeartbeat.Role.WATCH, host="h", pid=1, places=0,
            started_at=long_ago, beat_at=long_ago, stopped_at=stopped,
        )  # fmt: skip
    found = scraped()
    assert (found["processes_silent", "watch"], found["processes", "watch"]) == (1, 0)


def test_sweeps_and_notices() -> None:
    now = clock.now()
    begun = now - timedelta(seconds=50)
    Sweep.objects.create(
        result=Sweep.Result.COMPLETE, started_at=begun, finished_at=now - timedelta(seconds=40), counts={"drift": 2}
    )
    Sweep.objects.create(
        result=Sweep.Result.PARTIAL, started_at=begun, finished_at=now, counts={"drift": 3, "orphan": 1}
    )
    notices.tell(NoticeCode.CONVEX_PAUSED, "Paused")
    found = scraped()
    assert 40 <= found["sweep_age_seconds",] < 60
    assert (found["sweep_complete",], found["sweep_found", "orphan"]) == (0, 1)
    assert found["sweep_found", "gone"] == 0, "what a sweep did not find is nought, not absent"
    assert found["notices_open", "convex_paused"] == 1


def named_in_alerts() -> Iterator[str]:
    rules = (ROOT / "docs" / "alerts.yml").read_text()
    yield from re.findall(r"\bsandkeeper_(\w+)", rules)


def test_the_alert_rules_use_metrics_that_exist(sandbox: Sandbox) -> None:
    now = clock.now()
    operation(sandbox, Action.START, status=OperationStatus.FAILED, code="timeout", finished_at=now)
    Sweep.objects.create(result=Sweep.Result.COMPLETE, started_at=now, finished_at=now, counts={"orphan": 0})
    WorkerHeartbeat.objects.create(
        worker_id="w",
        host="h",
        pid=1,
        places=1,
        started_at=now,
        beat_at=now,
        counters={"daytona get ok": [1, 0.1, [0] * (len(BOUNDS) + 1)]},
        lanes={"people": [1, 2]},
    )
    known = {name[0] for name in scraped()}
    used = set(named_in_alerts())
    assert len(used) >= 12
    assert used - known == set()
