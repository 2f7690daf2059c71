"""Receivers of notices, carried back to where there were none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.upgrading.test_migrations import NOW, migrate, old, states

__all__ = ["old", "states"]
pytestmark = pytest.mark.django_db(transaction=True)
BEFORE = ("sandboxes", "0038_orphans")


@pytest.mark.parametrize("old", [BEFORE], indirect=True)
def test_they_are_forgotten_on_the_way_back(old: Any) -> None:
    now = migrate()
    key = now.get_model("sandboxes", "ServiceKey").objects.create(
        name="agents", prefix="abc", digest="x", scopes=[]
    )
    receiver, delivery = now.get_model("sandboxes", "Receiver"), now.get_model("sandboxes", "Delivery")
    for name, whose in (("wh_programs", key), ("wh_staffs", None)):
        made = receiver.objects.create(id=name, key=whose, url="https://example.com/", position=0, created_at=NOW)
        delivery.objects.create(receiver=made, number=1, stream="one", due_at=NOW)
    back = migrate(BEFORE)
    assert list(back.get_model("sandboxes", "Receiver").objects.values_list("pk", flat=True)) == ["wh_programs"]
    assert list(back.get_model("sandboxes", "Delivery").objects.values_list("receiver", flat=True)) == [
        "wh_programs"
    ]
