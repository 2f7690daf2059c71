from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.vocabulary import Actor
from sandboxes.models import UsageHour
from sandboxes.services import owners
from tests.admin import members
from tests.api.callers import ALL, Api, problem, program, signed_in
from tests.support import rows

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db
ADMIN = Actor.staff("admin")


def test_what_one_has_and_may_have(alice: Api, settings: Settings) -> None:
    settings.SANDBOXES_PER_OWNER = 4
    rows.sandbox("a", of="alice")
    rows.sandbox("rests", of="alice", status="stopped")
    rows.sandbox("past", of="alice", status="gone")
    rows.sandbox("his", of="bob")
    shown = alice.get("/owners/me").json()
    del shown["this_month"]
    assert shown == {"id": "alice", "used": 2, "limit": 4, "on_hold": False, "hold_reason": ""}
    owners.set_limit("alice", 9, actor=ADMIN, reason="a class")
    assert alice.get("/owners/me").json()["limit"] == 9


def test_what_was_used_this_month(alice: Api) -> None:
    hour = clock.now().replace(minute=0, second=0, microsecond=0)
    for owner, month in (("alice", hour), ("bob", hour), ("alice", hour - timedelta(days=32))):
        UsageHour.objects.create(owner=owner, hour=month, measure="vcpu_seconds", value=5400, rolled_up_at=hour)
    used = alice.get("/owners/me").json()["this_month"]
    assert (used["vcpu_hours"], used["starts"], used["time_to_running_p95"]) == (1.5, 0, None)


def test_of_a_hold_its_public_reason_alone(alice: Api) -> None:
    owners.hold("alice", actor=ADMIN, reason="chargeback 4711", public_reason="Ask billing.")
    answer = alice.get("/owners/me")
    assert (answer.json()["on_hold"], answer.json()["hold_reason"]) == (True, "Ask billing.")
    assert "4711" not in answer.content.decode()
    owners.lift("alice", actor=ADMIN)
    assert (alice.get("/owners/me").json()["on_hold"], alice.get("/owners/me").json()["hold_reason"]) == (False, "")


def test_whoever_has_never_had_one_has_the_default(alice: Api, settings: Settings) -> None:
    settings.SANDBOXES_PER_OWNER = 7
    assert alice.get("/owners/me").json()["limit"] == 7


def test_it_is_asked_for_somebody(alice: Api) -> None:
    every = program(None, scopes=[*ALL, "sandboxes:any"])
    problem(every.get("/owners/me"), "owner_required")
    staff = signed_in(members.viewer())
    problem(staff.get("/owners/me"), "owner_required")
    rows.sandbox("a", of="alice")
    assert staff.get("/owners/me", X_On_Behalf_Of="alice").json()["used"] == 1
