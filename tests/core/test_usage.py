from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandboxes.core.usage import (
    NOTHING,
    Figures,
    Measure,
    SandboxUse,
    ToldQuota,
    bound_of,
    figures,
    last_known,
    percentile,
    used,
)

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
RUNS = SandboxUse(state="started", is_gone=False, cpu=2, memory_gb=4)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def seconds(
    start: SandboxUse, *events: tuple[float, dict[str, Any]], until: float = 120
) -> dict[tuple[int, str], float]:
    """By hour of the day and measure."""
    told = [(at(minutes), changes) for minutes, changes in events]
    sums: dict[tuple[int, str], float] = {}
    for hour, measure, value in used(start, told, since=NOON, until=at(until)):
        sums[hour.hour, measure.value] = sums.get((hour.hour, measure.value), 0) + value
    return sums


def test_a_time_is_divided_by_the_hours() -> None:
    stopped = {"observed_state": "stopped"}
    assert seconds(RUNS, (75, stopped)) == {
        (12, "sandbox_seconds"): 3600, (12, "vcpu_seconds"): 7200, (12, "memory_gib_seconds"): 14_400,
        (13, "sandbox_seconds"): 900, (13, "vcpu_seconds"): 1800, (13, "memory_gib_seconds"): 3600,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("events", "minutes"),
    [
        ([], 0),
        ([(10, {"observed_state": "started", "resources": {"cpu": 2, "memory_gb": 4, "disk_gb": 8}})], 110),
        ([(10, {"observed_state": "starting"}), (20, {"observed_state": "started"}), (30, {"name": "x"})], 110),
        # Daytona counts what is stopping, not what is archiving
        ([(0, {"observed_state": "started"}), (10, {"observed_state": "stopping"})], 120),
        ([(0, {"observed_state": "started"}), (10, {"observed_state": "archiving"})], 10),
        ([(0, {"observed_state": "started"}), (10, {"deleted_at": "2026-05-04T12:10:00Z"})], 10),
        (
            [
                (0, {"observed_state": "started"}),
                (10, {"deleted_at": "2026-05-04T12:10:00Z"}),
                (20, {"deleted_at": None}),
                (30, {"observed_state": "stopped"}),
            ],
            20,
        ),
        # what came after the end is another roll-up's
        ([(130, {"observed_state": "started"})], 0),
        ([(0, {"observed_state": "started"}), (130, {"observed_state": "stopped"})], 120),
    ],
)
def test_what_counts(events: list[tuple[float, dict[str, Any]]], minutes: float) -> None:
    found = seconds(NOTHING, *events)
    assert sum(value for (_, measure), value in found.items() if measure == "sandbox_seconds") == 60 * minutes


def test_what_nobody_has_told_the_size_of_counts_as_running_without_any() -> None:
    found = seconds(NOTHING, (0, {"observed_state": "started"}), until=60)
    assert found == {(12, "sandbox_seconds"): 3600, (12, "vcpu_seconds"): 0, (12, "memory_gib_seconds"): 0}


def test_a_new_size_counts_from_then_on() -> None:
    found = seconds(RUNS, (30, {"resources": {"cpu": 4, "memory_gb": 8, "disk_gb": 1}}), until=60)
    assert found[12, "vcpu_seconds"] == 1800 * 2 + 1800 * 4


@pytest.mark.parametrize("took", [0.0, 0.01, 0.05, 0.0501, 1.0, 59.9, 600.0, 86_400.0])
def test_times_are_counted_with_those_up_to_a_tenth_above(took: float) -> None:
    bound = bound_of(took) / 1000
    assert max(took, 0.05) <= bound + 0.0005
    assert bound <= max(took, 0.05) * 1.1 + 0.001


def test_all_times_below_the_first_bound_are_counted_with_it() -> None:
    assert bound_of(0.0) == bound_of(0.05) == 50


def test_percentiles() -> None:
    counts = {100: 50, 200: 44, 900: 6}
    assert (percentile(counts, 0.5), percentile(counts, 0.51), percentile(counts, 0.95)) == (0.1, 0.2, 0.9)
    assert percentile({}, 0.5) is None


def test_a_quota_is_known_by_region_and_class_from_when_it_was_last_told() -> None:
    def told(minutes: float, region: str, limit: int, measure: Measure = Measure.VCPU_QUOTA) -> ToldQuota:
        return ToldQuota(start=at(minutes), region=region, sandbox_class="container", measure=measure, limit=limit)

    quotas = [
        told(0, "eu", 10),
        told(0, "eu", 99, Measure.MEMORY_GIB_QUOTA),
        told(60, "eu", 20),
        told(60, "us", 5),
        told(120, "eu", 30),
    ]
    assert last_known(quotas, Measure.VCPU_QUOTA, before=at(120)) == {
        ("eu", "container"): 20,
        ("us", "container"): 5,
    }


def test_figures_add_up() -> None:
    rows = [
        ("sandbox_seconds", 0, 1),
        ("memory_gib_seconds", 0, 3),
        ("vcpu_seconds", 0, 3_600_000),
        ("vcpu_seconds", 0, 1800),
        ("evictions", 0, 2),
        ("starts", 100, 1),
        ("starts", 400, 1),
    ]
    assert figures(rows) == Figures(
        sandbox_hours=0.0,
        vcpu_hours=1000.5,
        memory_gib_hours=0.001,
        evictions=2,
        refusals=0,
        starts=2,
        p50=0.1,
        p95=0.4,
    )
    assert set(Measure) == {
        "sandbox_seconds",
        "vcpu_seconds",
        "memory_gib_seconds",
        "evictions",
        "refusals",
        "starts",
        "vcpu_quota",
        "memory_gib_quota",
    }
