"""What is asked at the same time is answered together, and one that breaks spoils nothing for the others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from django.db import OperationalError

from sandboxes.engine.batches import MOST_TRIES, Batches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Asked:
    """Doubles what it is asked. `breaks` says what of it raises; `away` for how many tries there is no database."""

    def __init__(self, *, breaks: Callable[[int], bool] = lambda _: False, away: int = 0) -> None:
        self.breaks, self.away = breaks, away
        self.batches: list[list[int]] = []
        self.given_up: list[tuple[int, str]] = []
        self.most, self._now = 0, 0
        self.gate = asyncio.Event()
        self.gate.set()

    def batches_of(self, *, size: int = 10, side_by_side: int = 1) -> Batches[int, int]:
        return Batches(
            self.answer, give_up=self.give_up, is_away=self.is_away, size=size, side_by_side=side_by_side
        )

    async def answer(self, asked: Sequence[int]) -> list[int]:
        self.batches.append(list(asked))
        if self.away:
            self.away -= 1
            raise OperationalError("the database is away")
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await self.gate.wait()
        finally:
            self._now -= 1
        if broken := [one for one in asked if self.breaks(one)]:
            raise ValueError(f"{broken[0]} breaks")
        return [2 * one for one in asked]

    async def give_up(self, asked: int, error: Exception) -> int:
        self.given_up.append((asked, str(error)))
        return -1

    async def is_away(self) -> bool:
        return self.away > 0


async def all_waiting(number: int) -> None:
    """Let every task come to what it waits for."""
    for _ in range(number):
        await asyncio.sleep(0)


def test_what_is_asked_in_one_moment_is_answered_together_and_to_each_its_own() -> None:
    async def run() -> None:
        asked = Asked()
        batches = asked.batches_of()
        assert await asyncio.gather(*[batches(number, owner="alice") for number in range(5)]) == [0, 2, 4, 6, 8]
        assert asked.batches == [[0, 1, 2, 3, 4]]

    asyncio.run(run())


def test_batches_grow_with_the_load_and_are_never_larger_than_they_may_be() -> None:
    async def run() -> None:
        asked = Asked()
        asked.gate.clear()
        batches = asked.batches_of(size=10)
        answers = [asyncio.ensure_future(batches(0, owner="alice"))]
        await all_waiting(5)
        answers += [asyncio.ensure_future(batches(number, owner="alice")) for number in range(1, 26)]
        await all_waiting(5)
        assert asked.batches == [[0]], "the others wait for the one that runs"
        asked.gate.set()
        assert await asyncio.gather(*answers) == [2 * number for number in range(26)]
        assert [len(batch) for batch in asked.batches] == [1, 10, 10, 5]

    asyncio.run(run())


def test_what_is_to_come_first_goes_before_the_rest() -> None:
    async def run() -> None:
        asked = Asked()
        asked.gate.clear()
        batches = asked.batches_of(size=3)
        answers = [asyncio.ensure_future(batches(number, owner="alice")) for number in range(5)]
        await all_waiting(5)
        answers += [asyncio.ensure_future(batches(number, owner="alice", first=True)) for number in range(10, 14)]
        await all_waiting(5)
        asked.gate.set()
        await asyncio.gather(*answers)
        assert asked.batches == [[0, 1, 2], [10, 11, 12], [13, 3, 4]]

    asyncio.run(run())


def test_what_comes_first_leaves_a_part_of_each_batch_to_the_others() -> None:
    """Or one owner's answers, of which more come in than a batch takes, keep everybody else from beginning."""

    async def run() -> None:
        asked = Asked()
        asked.gate.clear()
        batches = asked.batches_of(size=8)
        answers = [asyncio.ensure_future(batches(0, owner="alice"))]
        await all_waiting(5)
        answers += [asyncio.ensure_future(batches(number, owner="alice", first=True)) for number in range(10, 25)]
        answers += [asyncio.ensure_future(batches(number, owner="bob")) for number in range(30, 33)]
        await all_waiting(5)
        asked.gate.set()
        await asyncio.gather(*answers)
        assert asked.batches[1:] == [[*range(10, 17), 30], [*range(17, 24), 31], [24, 32]]

    asyncio.run(run())


def test_owners_take_turns_so_that_nobody_waits_behind_the_hundreds_of_another() -> None:
    async def run() -> None:
        asked = Asked()
        asked.gate.clear()
        batches = asked.batches_of(size=4)
        answers = [asyncio.ensure_future(batches(number, owner="alice")) for number in range(10)]
        await all_waiting(5)
        answers += [
            asyncio.ensure_future(batches(20, owner="bob")),
            asyncio.ensure_future(batches(30, owner="carol")),
        ]
        await all_waiting(5)
        asked.gate.set()
        await asyncio.gather(*answers)
        assert asked.batches == [[0, 1, 2, 3], [4, 20, 30, 5], [6, 7, 8, 9]]

    asyncio.run(run())


def test_no_more_run_side_by_side_than_may() -> None:
    async def run() -> None:
        asked = Asked()
        asked.gate.clear()
        batches = asked.batches_of(size=2, side_by_side=3)
        answers = [asyncio.ensure_future(batches(number, owner="alice")) for number in range(20)]
        await all_waiting(30)
        asked.gate.set()
        await asyncio.gather(*answers)
        assert asked.most == 3

    asyncio.run(run())


@pytest.mark.parametrize("broken", [{3}, {0, 9}, {4, 5, 6}, set(range(10))])
def test_those_that_break_a_batch_stand_alone_and_are_given_up(broken: set[int]) -> None:
    async def run() -> None:
        asked = Asked(breaks=broken.__contains__)
        batches = asked.batches_of()
        answers = await asyncio.gather(*[batches(number, owner="alice") for number in range(10)])
        assert answers == [-1 if number in broken else 2 * number for number in range(10)]
        assert sorted(asked.given_up) == [(number, f"{number} breaks") for number in sorted(broken)]

    asyncio.run(run())


def test_what_cannot_even_be_given_up_is_raised_to_whoever_asked() -> None:
    class Worse(Asked):
        async def give_up(self, asked: int, error: Exception) -> int:
            raise LookupError("no row")

    async def run() -> None:
        batches = Worse(breaks={1}.__contains__).batches_of()
        answers = await asyncio.gather(
            batches(0, owner="alice"), batches(1, owner="alice"), batches(2, owner="alice"), return_exceptions=True
        )
        assert answers[0] == 0
        assert answers[2] == 4
        assert isinstance(answers[1], LookupError)

    asyncio.run(run())


def test_while_the_database_is_away_it_is_asked_again_and_nothing_is_given_up() -> None:
    async def run() -> None:
        asked = Asked(away=MOST_TRIES + 1)
        batches = asked.batches_of()
        assert list(await asyncio.gather(batches(1, owner="alice"), batches(2, owner="alice"))) == [2, 4]
        assert asked.batches == [[1, 2]] * (MOST_TRIES + 2)
        assert asked.given_up == []

    asyncio.run(run())


def test_what_the_database_refuses_though_it_is_there_is_given_up_after_a_few_tries() -> None:
    class Refused(Asked):
        async def answer(self, asked: Sequence[int]) -> list[int]:
            self.batches.append(list(asked))
            raise OperationalError("value out of range")

    async def run() -> None:
        asked = Refused()
        assert await asked.batches_of()(7, owner="alice") == -1
        assert asked.batches == [[7]] * MOST_TRIES
        assert asked.given_up == [(7, "value out of range")]

    asyncio.run(run())


def test_who_no_longer_waits_spoils_nothing_for_the_others() -> None:
    async def run() -> None:
        asked = Asked()
        asked.gate.clear()
        batches = asked.batches_of()
        first, second = (asyncio.ensure_future(batches(number, owner="alice")) for number in (1, 2))
        await all_waiting(5)
        first.cancel()
        asked.gate.set()
        assert await second == 4
        assert await batches(3, owner="alice") == 6
        assert first.cancelled()

    asyncio.run(run())
