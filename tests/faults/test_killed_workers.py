"""kill -9 at random moments of a mixed load: nothing is lost, nothing is stuck, nobody is overruled."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.faults.load import Load
from tests.faults.truth import agree
from tests.faults.workers import QUICK, Workers, workers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.emulator import Emulator

REQUESTS = 200
SETTLED_WITHIN = 60.0


def spoil(world: Emulator) -> None:
    """Hosts that fail now and then, so that there is something to recover."""
    world.faults.add("host", operation="start", error="out of disk", recoverable=True, probability=0.1)
    world.faults.add("host", operation="create", error="image is broken", probability=0.05)


class Killer:
    """Kills the older of two workers at random moments of the load, and starts another in its place."""

    def __init__(self, crew: Workers, *, kills: int, seed: int) -> None:
        self.crew = crew
        self.moments = sorted(random.Random(seed).sample(range(5, REQUESTS), kills), reverse=True)

    def __call__(self, accepted: int) -> None:
        if self.moments and accepted >= self.moments[-1]:
            self.moments.pop()
            self.crew.running[0].said("worker_started")
            self.crew.kill()
            self.crew.start(wait=False)


def one_round(world: Emulator, folder: Path, *, kills: int, seed: int, **values: str) -> dict[str, object]:
    load = Load(seed)
    with workers(world, folder, **values) as crew:
        crew.start(wait=False)
        crew.start(wait=False)
        load.begin(10)
        spoil(world)
        killer = Killer(crew, kills=kills - 2, seed=seed)  # the last two die together, with the load behind them
        load.run(REQUESTS, meanwhile=killer)
        assert not killer.moments, "killed at every moment that was drawn"
        world.faults.clear()
        crew.kill_all()
        crew.start()
        settled = agree(world, within=SETTLED_WITHIN, wishes=load.history.last_wishes)
    log = world.log(system="daytona")
    problems = load.history.contradictions(log)
    assert not problems, "\n".join(problems)
    return {"kills": kills, "settled after": round(settled, 1), "mutations": len(log), **load.done}


@pytest.mark.postgres
def test_after_kills_at_random_moments_all_is_as_people_want(outlasting: Emulator, tmp_path: Path) -> None:
    print(one_round(outlasting, tmp_path, kills=5, seed=1, **QUICK))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
def test_after_fifty_kills_all_is_as_people_want(outlasting: Emulator, tmp_path: Path, seed: int) -> None:
    print(one_round(outlasting, tmp_path, kills=50, seed=seed, **QUICK))


@pytest.mark.soak
def test_with_the_settings_of_production_it_settles_as_fast(outlasting: Emulator, tmp_path: Path) -> None:
    print(one_round(outlasting, tmp_path, kills=5, seed=7))
