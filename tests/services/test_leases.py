"""What is leased is held by one process at a time, and work that is due is done by one."""

from __future__ import annotations

import pytest

from sandboxes import clock
from sandboxes.models import Lease
from sandboxes.services import leases, schedules

pytestmark = pytest.mark.django_db


def take(holder: str) -> leases.HeldLease | None:
    return leases.take("sweep", holder=holder, seconds=60)


def test_one_holds_it_at_a_time() -> None:
    first = take("first")
    assert first
    assert take("second") is None
    holder = leases.holder_of("sweep")
    assert holder is not None
    assert holder.holder == "first"
    leases.release(first)
    assert leases.holder_of("sweep") is None
    assert take("second")


def test_a_lease_that_ran_out_is_anybodys_and_its_holder_can_neither_keep_nor_give_it_back() -> None:
    first = take("first")
    assert first
    clock.move(61)
    second = take("second")
    assert second
    assert not leases.renew(first, seconds=60)
    leases.release(first)
    leases.end(first)
    assert take("third") is None
    leases.end(second)
    assert not Lease.objects.exists()


def test_a_lease_that_is_renewed_does_not_run_out() -> None:
    first = take("first")
    assert first
    clock.move(59)
    assert leases.renew(first, seconds=60)
    clock.move(59)
    assert take("second") is None


class Work:
    def __init__(self) -> None:
        self.done = 0
        self.ends_well = True

    def __call__(self) -> bool:
        self.done += 1
        return self.ends_well

    def when_due(self) -> int:
        """How often it was done by now."""
        schedules.when_due("prune", self, every=60)
        return self.done


def test_work_is_done_once_in_so_many_seconds() -> None:
    work = Work()
    assert [work.when_due(), work.when_due()] == [1, 1]
    clock.move(61)
    assert [work.when_due(), work.when_due()] == [2, 2]


def test_work_that_failed_is_due_again_at_once() -> None:
    work = Work()
    work.ends_well = False
    assert [work.when_due(), work.when_due()] == [1, 2]
    with pytest.raises(ZeroDivisionError):
        schedules.when_due("prune", lambda: 1 // 0 == 0, every=60)
    work.ends_well = True
    assert [work.when_due(), work.when_due()] == [3, 3]


def test_who_is_slower_than_the_schedule_does_not_undo_anothers_turn() -> None:
    work = Work()

    def slow() -> bool:
        clock.move(61)
        work.when_due()
        return False

    schedules.when_due("prune", slow, every=60)
    assert work.when_due() == 1
