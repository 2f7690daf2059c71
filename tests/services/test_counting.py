"""How many rows there are, exactly or about."""

from __future__ import annotations

import pytest

from sandboxes.core.vocabulary import Status
from sandboxes.models import Sandbox, counting
from sandboxes.models.counting import Number
from tests.support import rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def seven() -> None:
    for number in range(7):
        rows.sandbox(f"box-{number}", status=Status.STOPPED if number < 2 else Status.RUNNING)


def test_few_are_counted(seven: None) -> None:
    assert counting.number(Sandbox.objects.order_by("name"), exact=7) == Number(7)
    assert counting.number(Sandbox.objects.filter(name="none")) == Number(0)


def test_of_many_it_is_said_about_how_many(seven: None) -> None:
    found = counting.number(Sandbox.objects.all(), exact=6)
    assert (found.value >= 6, found.is_exact) == (True, False)
    assert str(found).startswith("about ")
    assert str(Number(12_345)) == "12,345"


def test_each_status_has_its_number(seven: None, monkeypatch: pytest.MonkeyPatch) -> None:
    none = dict.fromkeys(Status, Number(0))
    assert counting.numbers_by_status() == none | {Status.STOPPED: Number(2), Status.RUNNING: Number(5)}
    monkeypatch.setattr(counting, "EXACT", 4)
    found = counting.numbers_by_status()
    assert found[Status.STOPPED] == Number(2)
    assert not found[Status.RUNNING].is_exact
    assert found[Status.RUNNING].value >= 4
