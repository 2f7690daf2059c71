"""The OpenAPI document that is kept: what the code has, without what breaks clients or displeases a linter."""

from __future__ import annotations

import copy
import subprocess
from typing import Any

import pytest

from clients import __main__ as make_clients
from clients import document
from sandboxes.api.schema import operation_id
from tests.support.environment import ROOT

START = "/api/v1/sandboxes/{sandbox_id}/start"


@pytest.fixture(scope="module")
def current() -> document.Document:
    return make_clients.current()


def test_what_is_kept_is_what_the_code_has(current: document.Document) -> None:
    broken = document.breaking(document.kept(), current)
    told = "\n".join(["Run `make clients`.", *(f"This breaks clients: {line}" for line in broken)])
    stale = [path.name for path, text in make_clients.written(current).items() if path.read_text() != text]
    assert stale == [], told


@pytest.mark.node
def test_the_linter_finds_nothing() -> None:
    done = subprocess.run(
        ["npm", "run", "--silent", "lint"], cwd=ROOT / "clients" / "typescript", capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_every_enum_is_closed_or_says_what_to_do_with_more(current: document.Document) -> None:
    open_ones = {
        name: shape for name, shape in current["components"]["schemas"].items() if "x-extensible-enum" in shape
    }
    assert {"Cause", "EventType", "OperationAction", "ProblemCode"} <= set(open_ones)
    assert all("that you do not know: " in shape["description"] for shape in open_ones.values())
    assert not [name for name, shape in open_ones.items() if "enum" in shape]


def schema(name: str, changed: document.Document) -> dict[str, Any]:
    found: dict[str, Any] = changed["components"]["schemas"][name]
    return found


def start(changed: document.Document) -> dict[str, Any]:
    found: dict[str, Any] = changed["paths"][START]["post"]
    return found


def without_a_path(changed: document.Document) -> None:
    del changed["paths"][START]


def renamed_method(changed: document.Document) -> None:
    start(changed)["operationId"] = "begin_sandbox"


def required_parameter(changed: document.Document) -> None:
    start(changed)["parameters"].append(
        {"in": "query", "name": "why", "required": True, "schema": {"type": "string"}}
    )


def without_a_parameter(changed: document.Document) -> None:
    changed["paths"]["/api/v1/capacity"]["get"]["parameters"] = []


def without_an_answer(changed: document.Document) -> None:
    del start(changed)["responses"]["202"]


def another_answer(changed: document.Document) -> None:
    content = start(changed)["responses"]["200"]["content"]["application/json"]
    content["schema"] = {"$ref": "#/components/schemas/Sandbox"}


def without_a_body(changed: document.Document) -> None:
    del start(changed)["requestBody"]


def without_a_field(changed: document.Document) -> None:
    del schema("Sandbox", changed)["properties"]["tier"]


def maybe_absent(changed: document.Document) -> None:
    schema("Sandbox", changed)["required"].remove("tier")


def another_type(changed: document.Document) -> None:
    schema("Sandbox", changed)["properties"]["tier"]["type"] = "integer"


def one_more_status(changed: document.Document) -> None:
    schema("SandboxStatus", changed)["enum"].append("paused")


def required_field(changed: document.Document) -> None:
    schema("NewSandboxRequest", changed)["required"] = ["tier"]


def one_order_less(changed: document.Document) -> None:
    (order,) = (
        one for one in changed["paths"]["/api/v1/sandboxes"]["get"]["parameters"] if one.get("name") == "order"
    )
    order["schema"]["enum"].remove("name")


def without_a_shape(changed: document.Document) -> None:
    del changed["components"]["schemas"]["Ranked"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without_a_path, f"POST {START} is gone"),
        (renamed_method, f"POST {START} is called begin_sandbox, no longer start_sandbox"),
        (required_parameter, f"POST {START}: the parameter why is required"),
        (without_a_parameter, "GET /api/v1/capacity: the parameter sandbox is gone"),
        (without_an_answer, f"POST {START}: it no longer answers 202"),
        (another_answer, f"POST {START}: it answers 200 with another schema"),
        (without_a_body, f"POST {START}: it takes no body any more"),
        (without_a_field, "Sandbox.tier is gone"),
        (maybe_absent, "Sandbox.tier may be absent"),
        (another_type, "Sandbox.tier is of another type"),
        (one_more_status, "SandboxStatus may be `paused`, which nobody expects of a closed enum"),
        (required_field, "NewSandboxRequest.tier is required"),
        (one_order_less, "GET /api/v1/sandboxes: the parameter order is never `name` any more"),
        (without_a_shape, "Ranked is gone"),
    ],
)
def test_what_breaks_a_client_is_named(current: document.Document, change: Any, told: str) -> None:
    changed = copy.deepcopy(current)
    change(changed)
    assert told in document.breaking(current, changed)


def test_what_is_added_breaks_nobody(current: document.Document) -> None:
    changed = copy.deepcopy(current)
    changed["paths"]["/api/v1/more"] = {"get": {"operationId": "get_more", "responses": {}}}
    schema("Sandbox", changed)["properties"]["more"] = {"type": "string"}
    schema("NewSandboxRequest", changed)["properties"]["more"] = {"type": "string"}
    schema("EventType", changed)["x-extensible-enum"].append("more")
    start(changed)["parameters"].append({"in": "query", "name": "more", "schema": {"type": "string"}})
    assert document.breaking(current, changed) == []
    assert document.breaking(changed, changed) == []


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "sandboxes", "list_sandboxes"),
        ("POST", "sandboxes", "create_sandbox"),
        ("GET", "sandboxes/{sandbox_id}", "get_sandbox"),
        ("PATCH", "sandboxes/{sandbox_id}", "change_sandbox"),
        ("DELETE", "sandboxes/{sandbox_id}", "delete_sandbox"),
        ("POST", "sandboxes/{sandbox_id}/ensure-running", "ensure_running_sandbox"),
        ("GET", "sandboxes/{sandbox_id}/events", "list_sandbox_events"),
        ("POST", "sandboxes/bulk", "bulk_sandboxes"),
        ("GET", "capacity", "get_capacity"),
    ],
)
def test_a_method_is_called_what_it_does(method: str, path: str, expected: str) -> None:
    assert operation_id(method, f"/api/v1/{path}") == expected
