"""One reading of each request and no other: encoded bodies, repeated parameters, owners that are no names."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from sandboxes.models import Owner
from tests.admin import members
from tests.api.callers import Api, problem, program, signed_in
from tests.hostile.test_foreign_owners import addresses
from tests.support import rows

if TYPE_CHECKING:
    from tests.support.issuer import Issuer

pytestmark = pytest.mark.django_db
SHAPES = sorted(
    {shape for _, shape in addresses()} | {"/sandboxes", "/operations", "/capacity", "/problems", "/nothing"}
)


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "identity, gzip", "nonsense"])
def test_an_encoded_body_is_not_read(alice: Api, encoding: str) -> None:
    body = gzip.compress(json.dumps({"name": "x"}).encode())
    problem(alice.post("/sandboxes", body, Content_Encoding=encoding), "unsupported_media_type")
    assert alice.post("/sandboxes", {}, Content_Encoding="identity").status_code == 202


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nowhere_is_it(alice: Api, shape: str, method: str) -> None:
    box = rows.sandbox(of="alice")
    path = shape.format(sandbox=box.pk, operation=rows.operation(box).pk)
    problem(alice.call(method, path, b"x", Content_Encoding="gzip"), "unsupported_media_type")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_parameter_that_has_one_value_is_given_once(alice: Api, shape: str) -> None:
    box = rows.sandbox(of="alice")
    path = shape.format(sandbox=box.pk, operation=rows.operation(box).pk)
    for query in ("limit=1&limit=2", "target=eu&target=us", "what=1&what=1"):
        found = problem(alice.get(f"{path}?{query}"), "invalid_request")
        assert [error["field"] for error in found["errors"]] == [query.partition("=")[0]]


def test_filters_of_several_values_take_several(alice: Api) -> None:
    assert alice.get("/sandboxes?status=running&status=stopped").status_code == 200
    assert alice.get("/operations?action=stop&action=start&status=failed&status=queued").status_code == 200
    problem(alice.get("/operations?code=timeout&code=cancelled"), "invalid_request")


@pytest.mark.parametrize("name", [".", ".."])
def test_what_is_a_path_is_no_owner(issuer: Issuer, name: str) -> None:
    problem(program(name).get("/sandboxes"), "invalid_request")
    problem(Api(Authorization=f"Bearer {issuer.token(name)}").get("/sandboxes"), "invalid_token")
    form = {"owner": name, "name": "x", "tier": "basic", "language": "python"}
    signed_in(members.operator()).client.post("/admin/sandboxes/sandbox/add/", form)
    assert not Owner.objects.exists()
    assert program("...").get("/sandboxes").status_code == 200


def test_staff_who_name_an_owner_see_that_one_alone() -> None:
    box, other = rows.sandbox(of="alice"), rows.sandbox(of="bob")
    operation = rows.operation(other, "stop", "in_progress")
    staff = signed_in(members.operator())
    assert len(staff.get("/sandboxes").json()["results"]) == 2
    named = {"X_On_Behalf_Of": "alice"}
    assert [row["id"] for row in staff.get("/sandboxes", **named).json()["results"]] == [str(box.pk)]
    assert staff.get("/operations", **named).json()["results"] == []
    problem(staff.get(f"/sandboxes/{other.pk}", **named), "sandbox_not_found")
    problem(staff.post(f"/sandboxes/{other.pk}/stop", **named), "sandbox_not_found")
    problem(staff.get(f"/operations/{operation.pk}", **named), "operation_not_found")
