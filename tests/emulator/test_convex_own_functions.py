"""The emulator's twin of convex/sandkeeper.ts passes the same cases as the original."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.convex import call, seed, value_of

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

Doc = dict[str, Any]

CASES = json.loads((Path(__file__).resolve().parents[2] / "convex" / "cases.json").read_text())
DEFAULTS: dict[str, Doc] = CASES["defaults"]
LISTED = {"name": "box", "ephemeral": False, "createdAt": 1000.0}
TABLES = ("sandboxes", "harnesses", "workspaces", "sandkeeperRevisions")


@pytest.fixture(autouse=True)
def with_own_functions(emulator: Emulator) -> None:
    emulator.settings(convex={"sandkeeper": True})


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["name"])
def test_the_twin_agrees(emulator: Emulator, case: Doc) -> None:
    ids = seed(
        emulator, **{table: [DEFAULTS[table] | row for row in rows] for table, rows in case["start"].items()}
    )

    for one in case["calls"]:
        changes = [_named(_completed(change), ids) for change in one["changes"]]
        assert value_of(call(emulator, "sandkeeper:apply", changes=changes)) == one["results"]

    assert _stored(emulator, ids) == _expected(case["end"])


def test_a_hundred_and_one_changes_are_refused_and_none_is_written(emulator: Emulator) -> None:
    numbered = ({"daytonaSandboxId": f"d{i}", "sandboxId": f"s{i}"} for i in range(101))
    changes = [_completed(ids | {"revision": 1, "row": {}}) for ids in numbered]

    envelope = call(emulator, "sandkeeper:apply", changes=changes)

    assert envelope["errorData"]["code"] == "too_many_changes"
    assert emulator.state("convex")["sandboxes"] == []
    assert len(value_of(call(emulator, "sandkeeper:apply", changes=changes[1:]))) == 100


def test_an_unknown_status_is_refused(emulator: Emulator) -> None:
    change = _completed({"revision": 1, "row": {"status": "gone"}})

    envelope = call(emulator, "sandkeeper:apply", changes=[change])

    assert (
        "ArgumentValidationError: Value does not match validator.\nPath: .changes[0].row"
        in envelope["errorMessage"]
    )


def test_every_row_is_listed_page_by_page(emulator: Emulator) -> None:
    foreign = {"userId": "user_bob", "daytonaSandboxId": "d9", "status": "error", "errorMessage": "disk"}
    seed(emulator, sandboxes=[DEFAULTS["sandboxes"] | foreign])
    changes = [
        _completed({"daytonaSandboxId": f"d{i}", "sandboxId": f"s{i}", "revision": 4, "row": {}}) for i in (1, 2)
    ]
    call(emulator, "sandkeeper:apply", changes=changes)

    first = value_of(call(emulator, "sandkeeper:list", kind="query", cursor=None, limit=2))
    last = value_of(call(emulator, "sandkeeper:list", kind="query", cursor=first["cursor"], limit=2))

    told = first["rows"] + last["rows"]
    assert all(len(row.pop("_id")) == 32 for row in told)
    seen = {"userId": "user_ada", "status": "running", "revision": 4} | LISTED
    assert told == [
        foreign | LISTED,
        seen | {"daytonaSandboxId": "d1", "sandboxId": "s1"},
        seen | {"daytonaSandboxId": "d2", "sandboxId": "s2"},
    ]
    assert last["cursor"] is None


@pytest.mark.parametrize("limit", [0, 1001, 2.5, -1])
def test_a_page_has_a_limit(emulator: Emulator, limit: float) -> None:
    refused = call(emulator, "sandkeeper:list", kind="query", cursor=None, limit=limit)

    assert refused["errorData"]["code"] == "bad_limit"
    assert value_of(call(emulator, "sandkeeper:list", kind="query", cursor=None, limit=1000))["rows"] == []


def test_what_the_schema_lacks_is_named_before_a_removal_needs_it(emulator: Emulator) -> None:
    assert value_of(call(emulator, "sandkeeper:probe", kind="query")) == {"missing": []}
    emulator.settings(convex={"sandkeeper": True, "lacks": ["workspaces.by_user"]})

    written = call(emulator, "sandkeeper:apply", changes=[_completed({"revision": 1, "row": {}})])
    removed = call(emulator, "sandkeeper:apply", changes=[_completed({"revision": 2, "row": None})])

    assert written["status"] == "success"
    assert "Index workspaces.by_user not found" in removed["errorMessage"]
    assert value_of(call(emulator, "sandkeeper:probe", kind="query")) == {"missing": ["workspaces.by_user"]}


def test_each_applied_change_is_logged(emulator: Emulator) -> None:
    newer, older = (_completed({"revision": revision, "row": {}}) for revision in (2, 1))
    call(emulator, "sandkeeper:apply", changes=[newer, older])

    (entry,) = emulator.log(system="convex")
    assert (entry["action"], entry["id"], entry["detail"]["revision"]) == ("sandkeeper:apply", "d1", 2)


def _completed(change: Doc) -> Doc:
    change = DEFAULTS["change"] | change
    if change.get("row") is not None:
        change["row"] = DEFAULTS["row"] | change["row"]
    return change


def _stored(emulator: Emulator, ids: dict[str, str]) -> dict[str, list[Doc]]:
    """Every table as the cases write it: names for ids, without Convex's clock, in order of creation."""
    names = {row_id: name for name, row_id in ids.items()}
    tables: dict[str, list[Doc]] = emulator.state("convex")
    for rows in tables.values():
        created = [row["_id"] for row in rows if row["_id"] not in names]
        names |= {row_id: f"$new{number}" for number, row_id in enumerate(created, start=1)}
    for rows in tables.values():
        for row in rows:
            del row["_creationTime"]
    return {table: [_named(row, names) for row in rows] for table, rows in tables.items()}


def _expected(end: dict[str, list[Doc]]) -> dict[str, list[Doc]]:
    return {table: [DEFAULTS[table] | row for row in end.get(table, [])] for table in TABLES}


def _named(value: Any, names: dict[str, str]) -> Any:
    """A copy with every string that the map knows replaced."""
    if isinstance(value, dict):
        return {key: _named(item, names) for key, item in value.items()}
    return names.get(value, value) if isinstance(value, str) else value
