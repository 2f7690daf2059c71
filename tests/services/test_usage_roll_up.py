"""The roll-up of usage: what it counts, that it may be repeated, and what it leaves alone."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sandboxes import clock
from sandboxes.core.codes import Refused
from sandboxes.core.usage import SandboxUse, hour_of
from sandboxes.core.vocabulary import Action, EventKind, Source, Status
from sandboxes.models import Owner, Sandbox, SandboxEvent, UsageHour
from sandboxes.services import leases, reconcile, usage_history, usage_roll_up
from sandboxes.services.prune import prune
from tests.support import rows
from tests.support.driving import do

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.support.emulator import Emulator

pytestmark = pytest.mark.django_db(transaction=True)
SIZE = {"cpu": 2, "memory_gb": 4, "disk_gb": 8}


@pytest.fixture(autouse=True)
def half_past(request: pytest.FixtureRequest) -> datetime:
    """It is half past some hour, and stays so."""
    clock.stop()
    now = clock.now()
    clock.move((hour_of(now) + timedelta(minutes=90) - now).total_seconds())
    return clock.now()


def told(of: Sandbox, hours_ago: float, **changes: Any) -> None:
    rows.event(of, at=clock.now() - timedelta(hours=hours_ago), changes=changes)


def ran(hours_ago: float, until: float | None = None, *, of: str = "ada", **fields: Any) -> Sandbox:
    """A sandbox that was created so long ago, and stopped (or runs)."""
    made = rows.sandbox(
        of=of, status=Status.RUNNING if until is None else Status.STOPPED, cpu=2, memory_gb=4, **fields
    )
    told(made, hours_ago, observed_state="started", deleted_at=None, resources=SIZE)
    if until is not None:
        told(made, until, observed_state="stopped")
    return made


def roll_up(hours: float = 48) -> None:
    """So many hours, or all that anything is kept of."""
    usage_roll_up.roll_up(max(clock.now() - timedelta(hours=hours), usage_roll_up.earliest()))


def by_hour(owner: str | None = None, measure: str = "sandbox_seconds") -> dict[int, int]:
    """Hours from the present one, and what was counted in them."""
    now, found = hour_of(clock.now()), UsageHour.objects.filter(measure=measure)
    found = found if owner is None else found.filter(owner=owner)
    return {round((row.hour - now).total_seconds() / 3600): row.value for row in found.order_by("hour")}


def everything() -> list[tuple[Any, ...]]:
    return list(UsageHour.objects.order_by("owner", "hour", "measure", "tier", "region", "bound").values_list(
        "owner", "hour", "measure", "tier", "region", "bound", "value"
    ))  # fmt: skip


def test_what_ran_is_counted_in_each_hour_by_owner_tier_and_region() -> None:
    ran(3, 1, resource_tier="standard", target="eu")
    roll_up()
    assert by_hour() == {-3: 1800, -2: 3600, -1: 1800}
    assert by_hour(measure="vcpu_seconds") == {-3: 3600, -2: 7200, -1: 3600}
    assert by_hour(measure="memory_gib_seconds") == {-3: 7200, -2: 14_400, -1: 7200}
    assert set(UsageHour.objects.values_list("owner", "tier", "region")) == {("ada", "standard", "eu")}


def test_what_still_runs_is_counted_up_to_now() -> None:
    ran(1.5)
    roll_up()
    assert by_hour() == {-1: 3600, 0: 1800}


def test_the_state_of_before_counts_where_something_changed_since() -> None:
    box = ran(100, 2)
    roll_up(hours=4)
    assert by_hour() == {-4: 3600, -3: 3600, -2: 1800}
    assert SandboxEvent.objects.filter(sandbox=box).count() == 2


def test_what_runs_since_long_and_has_no_events_any_more_is_counted() -> None:
    SandboxEvent.objects.filter(sandbox=ran(100)).delete()
    roll_up(hours=1)
    assert by_hour() == {-1: 3600, 0: 1800}


def test_what_was_deleted_is_counted_until_then() -> None:
    gone = rows.sandbox(of="ada", status=Status.GONE, cpu=2, memory_gb=4)
    told(gone, 3, observed_state="started", deleted_at=None, resources=SIZE)
    told(gone, 2, deleted_at="2026-05-04T12:00:00Z")
    roll_up()
    assert by_hour() == {-3: 1800, -2: 1800}


def test_operations_are_counted() -> None:
    box = rows.sandbox(of="ada")
    hour = clock.now() - timedelta(hours=1)
    rows.operation(box, Action.STOP, source=Source.EVICTION, at=hour)
    rows.operation(box, Action.START, status="failed", code="capacity_exhausted", at=hour)
    for seconds in (1, 1, 8):
        rows.operation(box, Action.START, at=hour, finished_at=hour + timedelta(seconds=seconds))
    rows.operation(box, Action.STOP, at=hour)
    roll_up()
    found = usage_history.total(usage_history.between(hour_of(hour), clock.now(), "ada"))
    assert (found.evictions, found.refusals, found.starts) == (1, 1, 3)
    assert found.p50 == pytest.approx(1, rel=0.1)
    assert found.p95 == pytest.approx(8, rel=0.1)


def test_the_quota_is_kept_of_the_hours_that_told_it(settings: Settings) -> None:
    settings.DAYTONA_TARGET = "eu"
    here, vm, nowhere = (
        rows.sandbox(of="ada", status=Status.STOPPED, target=region, sandbox_class=of_class)
        for region, of_class in (("us", "container"), ("us", "linux-vm"), ("", ""))
    )
    for box, hours_ago, quota in (
        (here, 5.2, {"CPU": 8.0}), (here, 5.1, {"CPU": 9.0}), (here, 3, {"memory": 64.0}), (vm, 3, {"CPU": 4.0}),
        (nowhere, 2, {"CPU": 2.0}), (nowhere, 2, {"disk": 900.0}),
    ):  # fmt: skip
        rows.event(box, EventKind.CALL, at=clock.now() - timedelta(hours=hours_ago), data={"quota": quota})
    for _ in range(2):
        roll_up()
    since = clock.now() - timedelta(hours=4)
    found = [
        (one.region, one.sandbox_class, one.measure, one.limit) for one in usage_history.quotas(since, clock.now())
    ]
    assert found[0] == ("us", "container", "vcpu_quota", 9)
    assert sorted(found[1:3]) == [("us", "container", "memory_gib_quota", 64), ("us", "linux-vm", "vcpu_quota", 4)]
    assert found[3:] == [("eu", "container", "vcpu_quota", 2)]
    assert usage_history.total(usage_history.between(rows.ago(hours=9), clock.now())).vcpu_hours == 0
    assert UsageHour.objects.filter(owner="").count() == 4


def test_it_may_be_repeated_and_what_is_no_longer_so_goes() -> None:
    ran(3, 1), ran(5, of="bob")
    roll_up()
    before = everything()
    roll_up()
    assert everything() == before
    UsageHour.objects.create(
        owner="nobody", hour=hour_of(clock.now()), measure="starts", value=7, rolled_up_at=rows.ago(hours=1)
    )
    UsageHour.objects.filter(owner="ada").delete()
    UsageHour.objects.filter(owner="bob").update(value=1)
    roll_up()
    assert everything() == before


def test_hours_of_before_are_left_alone() -> None:
    ran(30, 29)
    roll_up()
    before = everything()
    SandboxEvent.objects.all().delete()
    roll_up(hours=10)
    assert everything() == before


def test_many_owners_over_many_chunks_are_as_if_each_was_counted_alone(settings: Settings) -> None:
    """By a reckoning of its own: second by second it would be the same."""
    chance = random.Random(5)
    expected: dict[str, float] = {}
    Owner.objects.bulk_create(Owner(pk=f"owner-{n}") for n in range(7))
    boxes = [
        Sandbox(
            owner_id=f"owner-{n % 7}", status="stopped", observed_state="stopped", created_at=rows.ago(days=3),
            status_changed_at=rows.ago(days=1), daytona_id=f"d{n}",
        )
        for n in range(usage_roll_up.CHUNK + 40)
    ]  # fmt: skip
    Sandbox.objects.bulk_create(boxes)
    events = []
    for box in boxes:
        start = chance.randint(10, 40)
        length = chance.randint(1, 9)
        expected[box.owner_id] = expected.get(box.owner_id, 0) + length * 3600
        for hours, state in ((start, "started"), (start - length, "stopped")):
            events.append(
                SandboxEvent(
                    sandbox=box, owner=box.owner_id, kind="observation", text="x",
                    at=clock.now() - timedelta(hours=hours),
                    changes={"observed_state": state, "deleted_at": None, "resources": SIZE},
                )
            )  # fmt: skip
    SandboxEvent.objects.bulk_create(events)
    roll_up()
    sums: dict[str, int] = {}
    for owner, value in UsageHour.objects.filter(measure="sandbox_seconds").values_list("owner", "value"):
        sums[owner] = sums.get(owner, 0) + value
    assert sums == expected


def test_statements_do_not_grow_with_what_ran() -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as made:
            roll_up(hours=10)
        return len(made)

    ran(2, 1), ran(2, of="bob")
    roll_up()
    few = statements()
    for n in range(4):
        ran(2, 1, of=f"owner-{n}"), ran(2)
    assert statements() == few


def test_a_time_of_which_not_all_is_kept_is_refused(settings: Settings) -> None:
    settings.RETENTION_DAYS = settings.RETENTION_DAYS | {"events": 2}
    with pytest.raises(Refused, match="begin there, or later"):
        usage_roll_up.roll_up(rows.ago(hours=72))
    assert usage_roll_up.roll_up(usage_roll_up.earliest()).since == usage_roll_up.earliest()


def test_hours_that_no_event_is_left_of_stay_where_the_retention_was_made_longer(settings: Settings) -> None:
    ran(30, 29), ran(3, 1)
    roll_up()
    before = everything()
    SandboxEvent.objects.filter(at__lt=rows.ago(hours=5)).delete()
    clock.move(1)
    usage_roll_up.roll_up(usage_roll_up.earliest())
    assert everything() == before


def test_one_at_a_time() -> None:
    held = leases.take(usage_roll_up.NAME, holder="another", seconds=60)
    assert held is not None
    with pytest.raises(usage_roll_up.RollUpUnderWay, match="another"):
        roll_up()
    leases.release(held)
    roll_up()


def test_numbers_past_their_retention_go(settings: Settings) -> None:
    ran(30, 29), ran(2, 1)
    roll_up()
    settings.RETENTION_DAYS = settings.RETENTION_DAYS | {"usage": 1}
    assert prune()["usage"] == 6
    assert set(by_hour()) == {-2, -1}


def test_a_month_of_an_owner() -> None:
    may = datetime(2026, 5, 1, tzinfo=UTC)
    for hour in (
        may - timedelta(hours=1),
        may,
        datetime(2026, 5, 31, 23, tzinfo=UTC),
        datetime(2026, 6, 1, tzinfo=UTC),
    ):
        UsageHour.objects.create(
            owner="ada", hour=hour, measure="vcpu_seconds", tier="basic", value=3600, rolled_up_at=hour
        )
    assert usage_history.in_month("ada", datetime(2026, 5, 20, 7, tzinfo=UTC)).vcpu_hours == 2
    assert usage_history.in_month("ada", datetime(2026, 12, 31, tzinfo=UTC)).vcpu_hours == 0
    assert usage_history.in_month("bob", may).vcpu_hours == 0


def test_a_state_that_is_unknown_uses_nothing() -> None:
    assert not SandboxUse(state="brand new", is_gone=False, cpu=1, memory_gb=1).counts


def test_the_sweep_rolls_up_what_a_sandbox_really_did(world: Emulator, running: Callable[..., Sandbox]) -> None:
    clock.restore()
    box = running("ada", tier="standard")
    clock.move(7200)
    do(box, Action.STOP)
    assert reconcile.sweep().result == "complete"
    changes = SandboxEvent.objects.filter(sandbox=box, changes__has_key="observed_state").order_by("at", "id")
    moments = [
        at for at, told in changes.values_list("at", "changes") if told["observed_state"] not in ("", "stopped")
    ]
    hours = (changes.get(changes__observed_state="stopped").at - moments[0]).total_seconds() / 3600
    found = usage_history.total(usage_history.between(moments[0] - timedelta(hours=1), clock.now(), "ada"))
    assert hours > 2
    assert found.sandbox_hours == pytest.approx(hours, abs=0.01)
    assert found.vcpu_hours == pytest.approx(hours * box.cpu, abs=0.01)
    assert found.starts == 1
    (tiers,) = UsageHour.objects.values_list("tier", "region").distinct()
    assert tiers == ("standard", "us")


def test_a_sweep_rolls_up_every_five_minutes(world: Emulator) -> None:
    reconcile.sweep()
    known = usage_roll_up.rolled_up_until()
    assert known is not None
    clock.move(usage_roll_up.EVERY - 1)
    reconcile.sweep()
    assert usage_roll_up.rolled_up_until() == known
    clock.move(1)
    reconcile.sweep()
    assert usage_roll_up.rolled_up_until() == known + timedelta(seconds=usage_roll_up.EVERY)
