"""Convex's HTTP API as the contract tells it: order of checks, bodies of errors, envelopes, formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.convex import call, post, sandbox_row, seed, value_of

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

OWNER: dict[str, Any] = {"path": "sandboxes:getOwnerByDaytonaId", "args": {"daytonaSandboxId": "d1"}}
STATUS: dict[str, Any] = {"path": "sandboxes:updateStatus", "args": {"daytonaSandboxId": "d1", "status": "running"}}
JSON = {"Content_Type": "application/json"}
BAD_CLIENT, BAD_AUTH, WRONG_KEY = {"Convex_Client": "nodash"}, {"Authorization": "Basic x"}, "dev:x|wrong"

# Each row is wrong in one way more than the row below it: what is looked at first answers.
ORDER: list[tuple[str, dict[str, Any]]] = [
    ("InvalidHeaderFailure", {"headers": BAD_AUTH | BAD_CLIENT, "body": "{"}),
    ("InvalidClientVersion", {"headers": BAD_CLIENT, "body": "{", "key": WRONG_KEY}),
    ("BadJsonBody", {"body": '{"path": "a b"}', "key": WRONG_KEY}),
    ("BadConvexFunctionIdentifier", {"body": '{"path": "a b", "args": {}}', "key": WRONG_KEY}),
    ("BadAdminKey", {"body": '{"path": "no:such", "args": {}}', "key": WRONG_KEY}),
]


@pytest.mark.parametrize(("code", "request_"), ORDER, ids=[code for code, _ in ORDER])
def test_checks_come_in_order(emulator: Emulator, code: str, request_: dict[str, Any]) -> None:
    headers = JSON | request_.get("headers", {})
    key = request_.get("key", emulator.convex_key)

    response = post(emulator, "/api/query", request_["body"], key=key, **headers)

    assert response.json()["code"] == code
    assert response.status_code == (401 if code == "BadAdminKey" else 400)


INSIDE = [
    ("Cannot run functions while this deployment is paused.", {"state": "paused"}, {"path": "no:such", "args": {}}),
    ("Could not find public function for 'no:such'.", {}, {"path": "no:such", "args": {"x": 1}}),
    ("Trying to execute sandboxes.js:updateStatus as Query, but it is", {}, STATUS | {"args": {"x": 1}}),
    ("ArgumentValidationError: Object is missing the required field", {}, OWNER | {"args": {"x": 1}}),
    ("ArgumentValidationError: Object contains extra field `x`", {}, OWNER | {"args": OWNER["args"] | {"x": 1}}),
]


@pytest.mark.parametrize(("words", "convex", "body"), INSIDE, ids=[words[:30] for words, _, _ in INSIDE])
def test_then_comes_the_envelope(emulator: Emulator, words: str, convex: Any, body: Any) -> None:
    emulator.settings(convex=convex)

    response = post(emulator, "/api/query", body)

    assert response.status_code == 200
    assert response.json()["errorMessage"].split("\n")[1].startswith(words)


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_the_content_type_is_mandatory(emulator: Emulator, kind: str | None) -> None:
    headers = {"Authorization": f"Convex {emulator.convex_key}"} | ({"Content-Type": kind} if kind else {})

    response = httpx.post(f"{emulator.convex_url}/api/query", content=b'{"path":"a:b","args":{}}', headers=headers)

    assert (response.status_code, response.json()["code"]) == (400, "BadJsonBody")


@pytest.mark.parametrize(
    "body", ["[]", '"x"', "{}", '{"path": "a:b"}', '{"args": {}}', '{"path": "a:b", "args": {"$x": 1}}']
)
def test_a_body_that_is_no_call_is_refused(emulator: Emulator, body: str) -> None:
    assert post(emulator, "/api/query", body, **JSON).json()["code"] == "BadJsonBody"


def test_a_format_is_looked_at_after_the_mutation(emulator: Emulator) -> None:
    seed(emulator, sandboxes=[sandbox_row(status="stopped")])

    response = post(emulator, "/api/mutation", STATUS | {"format": "xml"})

    assert (response.status_code, response.json()["code"]) == (400, "BadFormat")
    assert emulator.state("convex")["sandboxes"][0]["status"] == "running"


@pytest.mark.parametrize("path", ["sandboxes:getOwnerByDaytonaId", "sandboxes.js:getOwnerByDaytonaId"])
@pytest.mark.parametrize("positional", [True, False])
def test_the_forms_of_a_call(emulator: Emulator, path: str, positional: bool) -> None:
    seed(emulator, sandboxes=[sandbox_row()])
    args = [OWNER["args"]] if positional else OWNER["args"]

    assert post(emulator, "/api/query", {"path": path, "args": args}).json() == {
        "status": "success",
        "value": "user_ada",
    }


def test_numbers_are_floats_and_printed_so(emulator: Emulator) -> None:
    emulator.settings(convex={"functions": "second"})
    seed(emulator, sandboxes=[sandbox_row(), sandbox_row("d2", lastAccessedAt=1714850000123)])

    args = {"daytonaSandboxId": "d1"}
    text = post(emulator, "/api/query", {"path": "sandboxes:listSiblingsByLastAccessed", "args": args}).text

    assert '"lastAccessedAt":1714850000123.0' in text
    assert '"cpu":1.0' in text


def test_an_int64_is_no_number(emulator: Emulator) -> None:
    args = {"changes": [{"revision": {"$integer": "AQAAAAAAAAA="}}]}
    emulator.settings(convex={"sandkeeper": True})

    words = post(emulator, "/api/mutation", {"path": "sandkeeper:apply", "args": args}).json()["errorMessage"]

    assert "Object: {revision: 1n}" in words


def test_null_is_not_absent(emulator: Emulator) -> None:
    args = STATUS["args"] | {"errorMessage": None}

    words = post(emulator, "/api/mutation", STATUS | {"args": args}).json()["errorMessage"]

    assert "Path: .errorMessage\nValue: null\nValidator: v.string()" in words


def test_the_request_id_is_the_callers(emulator: Emulator) -> None:
    response = post(emulator, "/api/query", {"path": "no:such", "args": {}}, Convex_Request_Id="abc-1")

    assert response.json()["errorMessage"].startswith("[Request ID: abc-1] Server Error\n")


def test_redaction_hides_words_and_logs_but_not_error_data(emulator: Emulator) -> None:
    emulator.settings(convex={"redact": True, "log_lines": True})
    seed(emulator, sandboxes=[sandbox_row(f"d{number}") for number in range(5)])
    args = {
        key: sandbox_row()[key]
        for key in ("userId", "daytonaSandboxId", "name", "status", "ephemeral", "resources")
    }
    body = {"path": "sandboxes:createInternal", "args": args}

    refused = post(emulator, "/api/mutation", body, Convex_Request_Id="r1").json()
    assert refused["errorMessage"] == "[Request ID: r1] Server Error"
    assert refused["errorData"]["code"] == "sandbox_limit_reached"
    assert "logLines" not in call(emulator, OWNER["path"], kind="query", daytonaSandboxId="d1")

    emulator.settings(convex={"log_lines": True})
    assert call(emulator, OWNER["path"], kind="query", daytonaSandboxId="d1")["logLines"]


def test_error_data_comes_with_convex_errors_only(emulator: Emulator) -> None:
    assert "errorData" not in post(emulator, "/api/query", {"path": "no:such", "args": {}}).json()


def test_without_a_key_only_public_functions_are_there(emulator: Emulator) -> None:
    internal = post(emulator, "/api/query", OWNER, key=None).json()
    public = post(emulator, "/api/query", {"path": "sandboxes:list", "args": {}}, key=None).json()

    assert "Could not find public function" in internal["errorMessage"]
    assert public == {"status": "success", "value": []}


def test_a_deploy_key_is_nobody_to_public_functions(emulator: Emulator) -> None:
    assert value_of(call(emulator, "sandboxes:list", kind="query")) == []
    (row_id,) = seed(emulator, sandboxes=[sandbox_row()]).values()
    assert "Uncaught Error: Unauthenticated" in call(emulator, "sandboxes:remove", id=row_id)["errorMessage"]


def test_any_function_needs_a_key(emulator: Emulator) -> None:
    response = post(emulator, "/api/function", OWNER, key=None)
    assert (response.status_code, response.json()["code"]) == (403, "BadDeployKey")

    assert post(emulator, "/api/function", OWNER).json() == {"status": "success", "value": None}
    words = post(emulator, "/api/function", {"path": "no:such", "args": {}}).json()["errorMessage"]
    assert "Could not find function for 'no:such'. Did you forget to run `npx convex dev`?" in words


def test_several_queries_in_one_call(emulator: Emulator) -> None:
    queries = [OWNER, {"path": "no:such", "args": {}}]

    results = post(emulator, "/api/query_batch", {"queries": queries}).json()["results"]

    assert [result["status"] for result in results] == ["success", "error"]


def test_the_path_in_the_address(emulator: Emulator) -> None:
    response = post(emulator, "/api/run/sandboxes/getOwnerByDaytonaId", {"args": OWNER["args"]})

    assert response.json() == {"status": "success", "value": None}


@pytest.mark.parametrize("path", ["/version", "/instance_name", "/instance_version"])
def test_liveness_needs_no_key(emulator: Emulator, path: str) -> None:
    assert httpx.get(f"{emulator.convex_url}{path}").status_code == 200


@pytest.mark.parametrize("state", ["running", "paused", "disabled", "suspended"])
def test_system_functions_answer_in_any_state(emulator: Emulator, state: str) -> None:
    emulator.settings(convex={"state": state})

    answer = call(emulator, "_system/frontend/deploymentState:deploymentState", kind="query")
    spec = call(emulator, "_system/cli/modules:apiSpec", kind="query")

    assert value_of(answer) == {"state": state}
    (status,) = [entry for entry in value_of(spec) if entry["identifier"] == "sandboxes.js:updateStatus"]
    assert status["visibility"] == {"kind": "internal"}
    assert status["args"]["value"]["errorMessage"] == {"fieldType": {"type": "string"}, "optional": True}


PERMISSIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "runInternalQueries": ("query", "sandboxes:getOwnerByDaytonaId", OWNER["args"]),
    "runInternalMutations": ("mutation", "sandboxes:updateStatus", STATUS["args"]),
    "data:view": ("query", "_system/cli/modules:apiSpec", {}),
}


@pytest.mark.parametrize("lacking", PERMISSIONS)
def test_a_key_without_a_permission(emulator: Emulator, lacking: str) -> None:
    everything = [f"deployment:{'' if ':' in name else 'functions:'}{name}" for name in PERMISSIONS]
    rest = [permission for permission in everything if not permission.endswith(lacking)]
    emulator.settings(convex_keys={emulator.convex_key: {"permissions": rest}})

    for name, (kind, function, args) in PERMISSIONS.items():
        envelope = call(emulator, function, kind=kind, **args)
        assert envelope["status"] == ("error" if name == lacking else "success")
        if name == lacking:
            assert f":{lacking})." in envelope["errorMessage"]


def test_a_revoked_key(emulator: Emulator) -> None:
    emulator.settings(convex_keys={emulator.convex_key: {"revoked": True}})

    response = post(emulator, "/api/query", OWNER)

    assert (response.status_code, response.json()["code"]) == (401, "BadAdminKey")


@pytest.mark.parametrize("wrong", [{"functions": "third"}, {"state": "tired"}, {"fnctions": "main"}])
def test_a_wrong_setting_is_refused_in_words(emulator: Emulator, wrong: dict[str, str]) -> None:
    response = emulator.control.patch("/settings", json={"convex": wrong})

    assert response.status_code == 400
    assert "convex" in response.json()["error"]
