from __future__ import annotations

import pytest

from sandboxes import clock
from sandboxes.models import Sandbox
from sandboxes.services import projection
from tests.services.projection.driving import Convex, reload, sandbox

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
