"""The application's users, who act for themselves: whose the rows are, and what their Delete leaves behind."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.support.convex import acting_as, call, call_as, post, rows, sandbox_row, seed, value_of
from tests.support.emulator import CONVEX_KEY, Emulator

ALL = ("first", "second", "main")
LIST = {"path": "sandboxes:list", "args": {}}


def new(daytona_id: str, **fields: Any) -> dict[str, Any]:
    row = sandbox_row(daytona_id, **fields)
    return {key: value for key, value in row.items() if key not in ("createdAt", "userId")}


@pytest.mark.parametrize("functions", ALL)
def test_a_user_reads_and_changes_what_is_theirs(emulator: Emulator, functions: str) -> None:
    emulator.settings(convex={"functions": functions})
    harness = {"_id": "$h", "userId": "user_ada", "name": "h"}
    ids = seed(emulator, sandboxes=[sandbox_row("d2", _id="$bob", userId="user_bob")], harnesses=[harness])

    made = value_of(call_as(emulator, "user_ada", "sandboxes:create", **new("d1", harnessId=ids["$h"])))
    value_of(
        call_as(emulator, "user_ada", "sandboxes:update", id=made, name="mine", status="error", errorMessage="x")
    )

    (mine,) = value_of(call_as(emulator, "user_ada", "sandboxes:list", kind="query"))
    assert (mine["_id"], mine["name"], mine["status"], mine["errorMessage"]) == (made, "mine", "error", "x")
    assert value_of(call_as(emulator, "user_ada", "sandboxes:get", kind="query", id=made)) == mine
    assert (
        value_of(call_as(emulator, "user_ada", "sandboxes:getByHarness", kind="query", harnessId=ids["$h"])) == mine
    )
    (linked,) = value_of(call_as(emulator, "user_ada", "harnesses:list", kind="query"))
    assert (linked["sandboxId"], linked["daytonaSandboxId"]) == (made, "d1")
    assert value_of(call_as(emulator, "user_ada", "harnesses:get", kind="query", id=ids["$h"])) == linked

    for function, args in (("sandboxes:get", {"id": made}), ("sandboxes:getByHarness", {"harnessId": ids["$h"]})):
        assert value_of(call_as(emulator, "user_bob", function, kind="query", **args)) is None
    assert value_of(call_as(emulator, "user_bob", "harnesses:get", kind="query", id=ids["$h"])) is None
    for change in ({"name": "taken"}, {"status": "running"}):
        assert (
            "Not found"
            in call_as(emulator, "user_ada", "sandboxes:update", id=ids["$bob"], **change)["errorMessage"]
        )


@pytest.mark.parametrize("functions", ALL)
def test_their_delete_unlinks_and_leaves_the_box_in_daytona(emulator: Emulator, functions: str) -> None:
    emulator.settings(convex={"functions": functions})
    (box,) = emulator.seed([{"name": "b", "labels": {"harness_user_id": "user_ada"}, "state": "started"}])
    harness = {
        "userId": "user_ada",
        "name": "h",
        "sandboxEnabled": True,
        "sandboxId": "$a",
        "daytonaSandboxId": box,
    }
    workspace = {"userId": "user_ada", "name": "w", "sandboxId": "$a"}
    ids = seed(emulator, sandboxes=[sandbox_row(box, _id="$a")], harnesses=[harness], workspaces=[workspace])

    refused = call_as(emulator, "user_bob", "sandboxes:remove", id=ids["$a"])
    assert "Not found" in refused["errorMessage"]
    before = emulator.sandbox(box)
    value_of(call_as(emulator, "user_ada", "sandboxes:remove", id=ids["$a"]))

    assert rows(emulator, box) == []
    state = emulator.state("convex")
    assert state["harnesses"][0]["sandboxEnabled"] is False
    assert not state["harnesses"][0].keys() & {"sandboxId", "daytonaSandboxId"}
    assert state["workspaces"][0]["sandboxId"] == ids["$a"]  # dangles, as in the application
    assert emulator.sandbox(box) == before
    assert emulator.log(system="daytona") == []


def test_a_users_link_is_their_own(emulator: Emulator) -> None:
    ids = seed(emulator, harnesses=[{"_id": "$h", "userId": "user_bob", "name": "h"}])

    value_of(call_as(emulator, "user_ada", "sandboxes:create", **new("d1", harnessId=ids["$h"])))

    assert "sandboxId" not in emulator.state("convex")["harnesses"][0]


def test_mains_cap_is_for_users_too(emulator: Emulator) -> None:
    emulator.settings(convex={"functions": "main"})
    seed(emulator, sandboxes=[sandbox_row(f"full{number}") for number in range(5)])

    refused = call_as(emulator, "user_ada", "sandboxes:create", **new("d1"))

    assert refused["errorData"]["code"] == "sandbox_limit_reached"


def test_without_an_identity_there_is_nobody(emulator: Emulator) -> None:
    ids = seed(emulator, sandboxes=[sandbox_row(_id="$a")], harnesses=[{"userId": "user_ada", "name": "h"}])

    assert value_of(call(emulator, "sandboxes:list", kind="query")) == []
    assert value_of(call(emulator, "harnesses:list", kind="query")) == []
    assert value_of(call(emulator, "sandboxes:get", kind="query", id=ids["$a"])) is None
    for function, args in (
        ("sandboxes:create", new("d2")),
        ("sandboxes:update", {"id": ids["$a"], "name": "x"}),
        ("sandboxes:remove", {"id": ids["$a"]}),
    ):
        assert "Unauthenticated" in call(emulator, function, **args)["errorMessage"]
    assert rows(emulator, "d1")[0]["name"] == "box"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "behind",
    ["", "!", encoded("no json"), encoded("[]"), encoded('{"subject": "user_ada"}'), encoded('{"subject": 3}')],
)
def test_what_is_no_identity_is_refused(emulator: Emulator, behind: str) -> None:
    response = post(emulator, "/api/query", LIST, key=f"{CONVEX_KEY}:{behind}")

    assert (response.status_code, response.json()["code"]) == (400, "HeaderParseFailure")


def test_a_token_identifier_alone_is_an_identity(emulator: Emulator) -> None:
    key = f"{CONVEX_KEY}:{encoded(json.dumps({'tokenIdentifier': 'x|user_ada'}))}"

    assert post(emulator, "/api/query", LIST, key=key).json() == {"status": "success", "value": []}


@pytest.mark.parametrize("redact", [True, False])
def test_acting_needs_its_permission(emulator: Emulator, redact: bool) -> None:
    limited = "dev:test|limited-0123"
    rules = {"permissions": ["deployment:functions:runInternalQueries"]}
    emulator.settings(convex={"redact": redact}, convex_keys={limited: rules})

    answer = post(emulator, "/api/query", LIST, key=acting_as("user_ada", key=limited)).json()

    assert answer["status"] == "error"
    assert ("deployment:functions:actAsUser" in answer["errorMessage"]) is not redact
    assert post(emulator, "/api/query", LIST, key=limited).json()["value"] == []


def test_a_user_calls_no_internal_function(emulator: Emulator) -> None:
    refused = call_as(emulator, "user_ada", "sandboxes:getOwnerByDaytonaId", kind="query", daytonaSandboxId="d1")

    assert "Could not find public function" in refused["errorMessage"]


def test_a_wrong_key_stays_wrong_with_an_identity(emulator: Emulator) -> None:
    response = post(emulator, "/api/query", LIST, key=acting_as("user_ada", key="dev:test|wrong"))

    assert (response.status_code, response.json()["code"]) == (401, "BadAdminKey")
