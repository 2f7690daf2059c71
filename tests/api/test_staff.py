from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from sandboxes.models import Operation, Sandbox
from tests.admin import members
from tests.api.callers import V1, Api, problem, signed_in
from tests.support import rows

pytestmark = pytest.mark.django_db

NEEDED: list[tuple[str, str, dict[str, Any] | None, str]] = [
    ("GET", "/sandboxes", None, "view_sandbox"),
    ("GET", "/sandboxes/{box}", None, "view_sandbox"),
    ("GET", "/sandboxes/{box}/events", None, "view_sandboxevent"),
    ("GET", "/sandboxes/{box}/operations", None, "view_operation"),
    ("GET", "/operations", None, "view_operation"),
    ("GET", "/operations/{operation}", None, "view_operation"),
    ("GET", "/capacity", None, "view_sandbox"),
    ("GET", "/owners/me", None, "view_owner"),
    ("GET", "/usage", None, "view_owner"),
    ("POST", "/sandboxes", {}, "add_sandbox"),
    ("DELETE", "/sandboxes/{box}", None, "delete_sandbox"),
    ("POST", "/sandboxes/{box}/start", {}, "start_sandbox"),
    ("POST", "/sandboxes/{box}/stop", {}, "stop_sandbox"),
    ("POST", "/sandboxes/{box}/restart", {}, "restart_sandbox"),
    ("POST", "/sandboxes/{box}/archive", {}, "archive_sandbox"),
    ("POST", "/sandboxes/{box}/recover", {}, "recover_sandbox"),
    ("POST", "/sandboxes/{box}/sync", {}, "sync_sandbox"),
    ("POST", "/sandboxes/{box}/ensure-running", {}, "start_sandbox"),
    ("POST", "/sandboxes/{box}/touch", {}, "start_sandbox"),
    ("POST", "/operations/{operation}/cancel", {}, "cancel_operation"),
]


@pytest.mark.parametrize(("method", "path", "body", "permission"), NEEDED)
def test_staff_need_the_permission_of_each_verb(
    method: str, path: str, body: dict[str, Any] | None, permission: str
) -> None:
    box = rows.sandbox(of="alice")
    operation = rows.operation(box, "stop", "in_progress")
    path = path.format(box=box.pk, operation=operation.pk)
    without = signed_in(members.member("without"))
    refusal = problem(without.call(method, path, body, X_On_Behalf_Of="alice"), "permission_denied")
    assert permission in refusal["detail"]
    with_it = signed_in(members.member("with", permission))
    assert with_it.call(method, path, body, X_On_Behalf_Of="alice").status_code < 300


@pytest.mark.parametrize(
    ("body", "permission"),
    [
        ({"name": "new"}, "rename_sandbox"),
        ({"auto_stop_minutes": 5}, "change_sandbox"),
        ({"protected_until": None}, "protect_sandbox"),
    ],
)
def test_each_change_has_its_permission(atlas: Sandbox, body: dict[str, Any], permission: str) -> None:
    without = signed_in(members.member("without", "view_sandbox"))
    assert permission in problem(without.patch(f"/sandboxes/{atlas.pk}", body), "permission_denied")["detail"]
    with_it = signed_in(members.member("with", "view_sandbox", permission))
    assert with_it.patch(f"/sandboxes/{atlas.pk}", body).status_code == 200


def test_bulk_needs_the_permission_of_its_action(atlas: Sandbox) -> None:
    body = {"action": "stop", "ids": [str(atlas.pk)]}
    only_start = signed_in(members.member("starter", "view_sandbox", "start_sandbox"))
    problem(only_start.post("/sandboxes/bulk", body), "permission_denied")
    stopper = signed_in(members.member("stopper", "view_sandbox", "stop_sandbox"))
    assert stopper.post("/sandboxes/bulk", body).json()["accepted"] == 1


def test_staff_see_every_owners_and_are_named_as_actor(atlas: Sandbox) -> None:
    rows.sandbox("bobs", of="bob")
    staff = signed_in(members.operator("otto"))
    assert len(staff.get("/sandboxes").json()["results"]) == 2
    assert staff.post(f"/sandboxes/{atlas.pk}/stop").json()["actor"] == "staff:otto"


def test_a_change_needs_the_csrf_token(atlas: Sandbox) -> None:
    staff = signed_in(members.operator(), csrf=True)
    problem(staff.post(f"/sandboxes/{atlas.pk}/stop"), "csrf_failed")
    assert not Operation.objects.exists()
    assert staff.get("/sandboxes").status_code == 200
    script = staff.client.get(f"{V1}/docs?script=").content.decode()
    token = script.partition('request.headers["X-CSRFTOKEN"] = "')[2].partition('"')[0]
    assert len(token) > 30, "the docs page sends it"
    assert staff.post(f"/sandboxes/{atlas.pk}/stop", {}, X_CSRFToken=token).status_code == 202


def test_a_form_is_no_way_around_the_csrf_check(atlas: Sandbox) -> None:
    staff = signed_in(members.operator(), csrf=True)
    answer = staff.client.post(f"{V1}/sandboxes/{atlas.pk}/stop", {"reason": "x"})
    problem(answer, "csrf_failed")


def test_a_session_of_somebody_who_is_not_staff_is_none() -> None:
    problem(signed_in(User.objects.create_user("visitor")).get("/sandboxes"), "unauthenticated")


def test_a_key_counts_before_a_session(alice: Api) -> None:
    rows.sandbox("bobs", of="bob")
    staff = signed_in(members.operator())
    assert staff.get("/sandboxes", **alice.headers).json()["results"] == []
