from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.vocabulary import Actor
from sandboxes.models import Sandbox
from sandboxes.services import intent, projection
from tests.services.projection.driving import Convex, reload, sandbox
from tests.support.driving import forward_touches

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

pytestmark = pytest.mark.django_db(transaction=True)


def used() -> Sandbox:
    return sandbox(pushed=True, last_accessed_at=clock.now())


@pytest.mark.parametrize("functions", ["first", "second"])
def test_use_is_shown_in_convex(convex: Convex, functions: str) -> None:
    convex.configure(functions=functions)
    box = used()
    before = convex.row(box)["lastAccessedAt"]
    convex.emulator.advance(60)
    assert projection.touch([box]) == 1
    assert convex.row(box)["lastAccessedAt"] > before


def test_our_own_functions_show_our_clock(convex: Convex) -> None:
    convex.configure(sandkeeper=True)
    box = used()
    box.last_accessed_at = clock.now()
    assert projection.touch([box]) == 1
    assert convex.row(box)["lastAccessedAt"] == int(box.last_accessed_at.timestamp() * 1000)


def test_main_has_no_function_for_it(convex: Convex) -> None:
    convex.configure(functions="main")
    box = used()
    before = convex.total()
    assert not projection.touch([box])
    assert convex.total() == before


def test_it_changes_nothing_of_ours(any_convex: Convex) -> None:
    box = used()
    before = Sandbox.objects.filter(pk=box.pk).values().get()
    projection.touch([reload(box)])
    assert Sandbox.objects.filter(pk=box.pk).values().get() == before


def test_a_failure_is_not_raised(convex: Convex) -> None:
    box = used()
    convex.faults.add("drop_before", system="convex", body="touchSandboxInternal")
    assert not projection.touch([box])


def test_a_row_that_convex_does_not_have_is_not_touched(convex: Convex) -> None:
    assert not projection.touch([sandbox()])
    assert convex.total() == 0


@pytest.mark.parametrize(("own", "together", "alone"), [(False, 2 * 10, 2), (True, 1, 1)])
def test_what_a_minute_of_use_costs_in_calls(
    world: Emulator, convex: Convex, own: bool, together: int, alone: int
) -> None:
    """Of ten sandboxes that are used at once, and of one by itself, for as long as they are used."""
    convex.configure(functions="second", sandkeeper=own)
    boxes = [sandbox(daytona_id=key, pushed=True) for key in world.seed([{} for _ in range(10)])]
    minutes = 10
    for some, calls in ((boxes, together), (boxes[:1], alone)):
        before = calls_of_functions(convex)
        for _ in range(minutes * 3):  # a use in 20 s is told once a minute
            clock.move(20.1)
            for box in some:
                intent.touch(box.pk, actor=Actor.owner("alice"))
            forward_touches()
        assert calls_of_functions(convex) - before == calls * minutes


def calls_of_functions(convex: Convex) -> int:
    """Without those that ask which functions there are."""
    return sum(number for name, number in convex.calls().items() if " sandboxes:" in name or " sandkeeper:" in name)
