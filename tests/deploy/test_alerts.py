"""docs/alerts.yml by Prometheus's own promtool: each alert comes when it should, and not otherwise."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.environment import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Series = dict[str, str]

ALERTS = ROOT / "docs" / "alerts.yml"
# Samples are a minute apart, in promtool's words: `1x40` is one for forty minutes, `0+3x40` goes up by three.
FOR = "40m"


def ended(status: str, number: int, code: str = "") -> Series:
    return {f'sandkeeper_operations_ended{{status="{status}",code="{code}"}}': f"{number}x40"}


def calls(**by_result: int) -> Series:
    """So many calls to Daytona in each minute."""
    name = 'sandkeeper_calls_total{system="daytona",result="%s"}'
    return {name % result: f"0+{number}x40" for result, number in by_result.items()}


def latency(*, within_five: int, slower: int) -> Series:
    counted = {"5": within_five, "10": within_five + slower, "+Inf": within_five + slower}
    name = 'sandkeeper_call_latency_seconds_bucket{system="daytona",result="ok",le="%s"}'
    return {name % bound: f"0+{number}x40" for bound, number in counted.items()}


def processes(*, silent: int, alive: int) -> Series:
    return {
        'sandkeeper_processes_silent{role="watch"}': f"{silent}x40",
        'sandkeeper_processes{role="watch"}': f"{alive}x40",
    }


def sweep(age: int, limit: int = 600) -> Series:
    return {
        "sandkeeper_sweep_age_seconds": f"{age}x40",
        "sandkeeper_sweep_stale_after_seconds": f"{limit}x40",
    }


def behind(seconds: str) -> Series:
    return {"sandkeeper_behind_oldest_seconds": seconds}


FAILED = ended("failed", 3, "daytona_error")
# Of each alert: the labels it has, what brings it, and what does not.
CASES: dict[str, tuple[dict[str, str], list[Series], list[Series]]] = {
    "SandkeeperDown": (
        {"job": "sandkeeper"},
        [{'up{job="sandkeeper"}': "0x40"}, {'up{job="other"}': "1x40"}],  # the second: nobody is scraped
        [{'up{job="sandkeeper"}': "1x40"}, {'up{job="sandkeeper"}': "1x9 0 1x30"}],
    ),
    "SandkeeperNoWorker": (
        {},
        [{"sandkeeper_workers": "0x40"}],
        [{"sandkeeper_workers": "1x40"}, {"sandkeeper_workers": "1x9 0 1x30"}],
    ),
    "SandkeeperWorkIsLate": (
        {"lane": "people"},
        [{'sandkeeper_due_oldest_seconds{lane="people"}': "61x40"}],
        [{'sandkeeper_due_oldest_seconds{lane="people"}': "60x40"}],
    ),
    "SandkeeperPlacesFull": (
        {"lane": "fetches"},
        [{'sandkeeper_places_used{lane="fetches"}': "0.95x40"}],
        [
            {'sandkeeper_places_used{lane="fetches"}': "0.9x40"},
            {'sandkeeper_places_used{lane="fetches"}': "1x8 0x30"},
        ],
    ),
    "SandkeeperProcessDied": (
        {"role": "watch"},
        [processes(silent=1, alive=0)],
        [processes(silent=1, alive=1), processes(silent=0, alive=0)],
    ),
    "SandkeeperSandboxStuck": (
        {}, [{"sandkeeper_stuck_sandboxes": "1x40"}], [{"sandkeeper_stuck_sandboxes": "0x40"}]
    ),
    "SandkeeperRowsFail": ({}, [{"sandkeeper_rows_failing": "1x40"}], [{"sandkeeper_rows_failing": "0x40"}]),
    "SandkeeperOperationsFail": (
        {},
        [FAILED | ended("succeeded", 26), ended("failed", 1, "daytona_error")],
        [
            FAILED | ended("succeeded", 27),
            FAILED | ended("succeeded", 5),  # a few, of which some succeed
            ended("failed", 30, "capacity_exhausted"),
        ],
    ),
    "SandkeeperCapacityExhausted": (
        {}, [ended("failed", 1, "disk_quota_full")], [ended("failed", 9, "daytona_error")]
    ),
    "SandkeeperDaytonaFails": (
        {}, [calls(unknown=3, ok=7), calls(unauthorized=1)], [calls(unknown=1, ok=4), calls(rejected=5, ok=1)]
    ),
    "SandkeeperDaytonaSlow": (
        {},
        [latency(within_five=8, slower=2)],
        [latency(within_five=19, slower=1), latency(within_five=9, slower=0)],
    ),
    "SandkeeperThrottled": ({}, [calls(rate_limited=1, ok=99)], [calls(rate_limited=0, ok=99)]),
    "SandkeeperConvexBehind": ({}, [behind("301x40")], [behind("300x40"), behind("301x4 0x30")]),
    "SandkeeperSweepStale": (
        {},
        [sweep(601), {"sandkeeper_workers": "1x40"}],  # the second: never one
        [sweep(600), sweep(3000, limit=3600)],
    ),
    "SandkeeperNotice": (
        {"code": "org_suspended"},
        [{'sandkeeper_notices_open{code="org_suspended"}': "1x40"}],
        [{'sandkeeper_notices_open{code="org_suspended"}': "0x40"}],
    ),
}  # fmt: skip


def test_every_alert_has_its_cases() -> None:
    assert [rule["alert"] for rule in yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]] == list(CASES)


@pytest.mark.promtool
def test_alerts_come_when_they_should_and_not_otherwise(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None
    file = tmp_path / "alerts.test.yml"
    tests = [unit_test(*case) for case in cases()]
    file.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def cases() -> Iterator[tuple[str, Series, dict[str, str] | None]]:
    """The alert, what is measured, and the labels it comes with; None where it stays away."""
    for alert, (labels, coming, quiet) in CASES.items():
        yield from ((alert, series, labels) for series in coming)
        yield from ((alert, series, None) for series in quiet)


def unit_test(alert: str, series: Series, labels: dict[str, str] | None) -> dict[str, Any]:
    """Whether it fired at any time at all."""
    shown = {"alertname": alert, "alertstate": "firing", **(labels or {})}
    words = ",".join(f'{name}="{value}"' for name, value in shown.items())
    expected = [] if labels is None else [{"labels": f"{{{words}}}", "value": 1}]
    asked = f'max_over_time(ALERTS{{alertname="{alert}",alertstate="firing"}}[{FOR}])'
    return {
        "name": f"{alert} {'stays away' if labels is None else 'comes'}: {series}",
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": asked, "eval_time": FOR, "exp_samples": expected}],
    }
