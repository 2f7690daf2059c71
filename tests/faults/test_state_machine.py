"""Anything may go wrong, in any order: when it is quiet again, all is as people want it.

The database does nothing of its own here (one turn at a time, in this process), so the short form runs on SQLite
only.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.machine import Machine

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

HOW = settings(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
    print_blob=True,
    phases=[Phase.generate],  # a failure is shown as it came: to shrink it takes an hour
)
SHORT = settings(HOW, max_examples=6, stateful_step_count=25, derandomize=True)
LONG = settings(HOW, max_examples=25, stateful_step_count=50)
PARTS, STEPS = 20, 20_000


def drive(emulator: Emulator, how: settings, *, steps: int = 1) -> None:
    """Examples until there were so many steps: hypothesis chooses how long each is."""
    Machine.emulator = emulator
    Machine.figures.clear()
    began = time.monotonic()
    while Machine.figures["steps"] < steps:
        run_state_machine_as_test(Machine, settings=how)
    print({**Machine.figures, "seconds": round(time.monotonic() - began)})


def test_whatever_goes_wrong_it_ends_as_people_want(in_process: Emulator) -> None:
    drive(in_process, SHORT)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_goes_wrong_for_twenty_thousand_steps(in_process: Emulator, part: int) -> None:
    drive(in_process, LONG, steps=STEPS // PARTS)
