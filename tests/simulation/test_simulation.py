"""Many runs, each from its seed. One that fails says how it is replayed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.simulation.checks import Broken
from tests.simulation.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS, SOAK_STEPS = 50_000, 1_000_000
FIRST_OF_SOAK = 1_000  # seeds that the short test does not run


def run(*, first: int, steps: int) -> Iterator[str]:
    """Run seed after seed until there were so many steps; what the first that fails says of itself."""
    done, seed, began = 0, first, time.process_time()
    while done < steps:
        attempt = Run(seed)
        try:
            attempt.to_the_end()
        except Broken as broken:
            yield str(broken)
            break
        finally:
            done, seed = done + attempt.time.steps, seed + 1
    cpu = time.process_time() - began
    print(f"\n{done} steps from {seed - first} seeds in {cpu:.1f} s of CPU: {done / cpu:.0f} steps/s")


def test_every_promise_is_kept_through_faults_and_after_them() -> None:
    assert list(run(first=0, steps=STEPS)) == []


@pytest.mark.soak
def test_every_promise_is_kept_in_a_million_steps() -> None:
    assert list(run(first=FIRST_OF_SOAK, steps=SOAK_STEPS)) == []


def test_a_run_is_the_same_again() -> None:
    stories: list[list[str]] = [[], []]
    for story in stories:
        Run(7, story.append).to_the_end()
    assert stories[0] == stories[1]
    assert len(stories[0]) > 50
