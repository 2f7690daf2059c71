"""The application's functions with their quirks, as each published set has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.convex import call, rows, sandbox_row, seed, value_of
from tests.support.emulator import Emulator

if TYPE_CHECKING:
    from pathlib import Path

ALL = ("first", "second", "main")
BRANCH = ("first", "second")
LINKED = {
    "userId": "user_ada",
    "name": "h",
    "sandboxEnabled": True,
    "sandboxId": "$a",
    "daytonaSandboxId": "d1",
}


def publish(emulator: Emulator, functions: str) -> None:
    emulator.settings(convex={"functions": functions})


def new(daytona_id: str, **fields: Any) -> dict[str, Any]:
    return {key: value for key, value in sandbox_row(daytona_id, **fields).items() if key != "createdAt"}


@pytest.mark.parametrize("functions", ALL)
def test_the_index_is_not_unique_and_the_first_row_is_meant(emulator: Emulator, functions: str) -> None:
    publish(emulator, functions)
    for name in ("one", "two"):
        value_of(call(emulator, "sandboxes:createInternal", **new("d1", name=name)))

    value_of(call(emulator, "sandboxes:updateStatus", daytonaSandboxId="d1", status="stopped"))

    assert [(row["name"], row["status"]) for row in rows(emulator, "d1")] == [
        ("one", "stopped"),
        ("two", "running"),
    ]


@pytest.mark.parametrize("functions", ALL)
def test_a_status_moves_last_accessed_at(emulator: Emulator, functions: str) -> None:
    publish(emulator, functions)
    seed(emulator, sandboxes=[sandbox_row(lastAccessedAt=1)])

    call(emulator, "sandboxes:updateStatus", daytonaSandboxId="d1", status="running")

    assert rows(emulator, "d1")[0]["lastAccessedAt"] > 1


@pytest.mark.parametrize("functions", ALL)
@pytest.mark.parametrize(("status", "cleared"), [("running", True), ("error", False)])
def test_the_error_message_is_cleared_on_the_branch_alone(
    emulator: Emulator, functions: str, status: str, cleared: bool
) -> None:
    publish(emulator, functions)
    seed(emulator, sandboxes=[sandbox_row(status="error", errorMessage="disk")])

    call(emulator, "sandboxes:updateStatus", daytonaSandboxId="d1", status=status)

    gone = "errorMessage" not in rows(emulator, "d1")[0]
    assert gone is (cleared and functions != "main")


@pytest.mark.parametrize("functions", ALL)
def test_a_harness_is_linked_whoever_owns_it(emulator: Emulator, functions: str) -> None:
    publish(emulator, functions)
    ids = seed(emulator, harnesses=[{"_id": "$h", "userId": "user_bob", "name": "h"}])

    row_id = value_of(call(emulator, "sandboxes:createInternal", **new("d1", harnessId=ids["$h"])))

    (harness,) = emulator.state("convex")["harnesses"]
    assert (harness["sandboxId"], harness["daytonaSandboxId"]) == (row_id, "d1")
    assert "sandboxEnabled" not in harness


@pytest.mark.parametrize("functions", BRANCH)
def test_removal_on_the_branch_unlinks_harnesses_and_leaves_the_rest(emulator: Emulator, functions: str) -> None:
    publish(emulator, functions)
    workspace = {"userId": "user_ada", "name": "w", "sandboxId": "$a"}
    seed(
        emulator,
        sandboxes=[sandbox_row(_id="$a"), sandbox_row(name="second")],
        harnesses=[LINKED],
        workspaces=[workspace],
    )

    value_of(call(emulator, "sandboxes:removeByDaytonaIdInternal", daytonaSandboxId="d1"))

    assert [row["name"] for row in rows(emulator, "d1")] == ["second"]
    state = emulator.state("convex")
    assert state["harnesses"][0]["sandboxEnabled"] is False
    assert not state["harnesses"][0].keys() & {"sandboxId", "daytonaSandboxId"}
    assert "sandboxId" in state["workspaces"][0]


def test_removal_on_main_takes_every_row_and_unlinks_nothing(emulator: Emulator) -> None:
    publish(emulator, "main")
    seed(emulator, sandboxes=[sandbox_row(_id="$a"), sandbox_row()], harnesses=[LINKED])

    assert value_of(call(emulator, "sandboxes:removeByDaytonaId", daytonaSandboxId="d1")) == {"removed": True}
    assert value_of(call(emulator, "sandboxes:removeByDaytonaId", daytonaSandboxId="d1")) == {"removed": False}

    assert rows(emulator, "d1") == []
    (harness,) = emulator.state("convex")["harnesses"]
    assert (harness["sandboxEnabled"], harness["daytonaSandboxId"]) == (True, "d1")


@pytest.mark.parametrize("functions", ALL)
def test_the_cap_is_mains(emulator: Emulator, functions: str) -> None:
    publish(emulator, functions)
    answers = [call(emulator, "sandboxes:createInternal", **new(f"d{number}")) for number in range(6)]

    assert [answer["status"] for answer in answers[:5]] == ["success"] * 5
    if functions == "main":
        assert answers[5]["errorData"]["code"] == "sandbox_limit_reached"
    assert len(emulator.state("convex")["sandboxes"]) == (5 if functions == "main" else 6)


@pytest.mark.parametrize("functions", BRANCH)
def test_siblings_are_the_owners_others_least_recently_used_first(emulator: Emulator, functions: str) -> None:
    publish(emulator, functions)
    statuses = ["creating", "starting", "running", "error", "stopped", "stopping", "archived"]
    others = [sandbox_row(f"s{n}", status=status, lastAccessedAt=100 - n) for n, status in enumerate(statuses)]
    seed(emulator, sandboxes=[sandbox_row(), *others, sandbox_row("never"), sandbox_row("b", userId="user_bob")])

    listed = call(emulator, "sandboxes:listSiblingsByLastAccessed", kind="query", daytonaSandboxId="d1")

    assert [row["daytonaSandboxId"] for row in value_of(listed)] == ["never", "s3", "s2", "s1", "s0"]


@pytest.mark.parametrize("functions", ALL)
def test_without_a_row_nothing_happens_and_it_says_success(emulator: Emulator, functions: str) -> None:
    publish(emulator, functions)

    envelope = call(emulator, "sandboxes:updateStatus", daytonaSandboxId="none", status="running")

    assert envelope == {"status": "success", "value": None}


def test_an_id_of_another_table_is_refused_by_name(emulator: Emulator) -> None:
    ids = seed(emulator, workspaces=[{"_id": "$w", "userId": "user_ada", "name": "w"}])

    words = call(emulator, "sandboxes:createInternal", **new("d1", harnessId=ids["$w"]))["errorMessage"]

    assert f'Found ID "{ids["$w"]}" from table `workspaces`, which does not match' in words


def test_each_accepted_mutation_is_logged_with_its_time(emulator: Emulator) -> None:
    call(emulator, "sandboxes:createInternal", **new("d1"))
    call(emulator, "sandboxes:updateStatus", daytonaSandboxId="d1", status="stopped")
    call(emulator, "sandboxes:updateStatus", daytonaSandboxId="d1", status="nonsense")
    call(emulator, "sandboxes:getOwnerByDaytonaId", kind="query", daytonaSandboxId="d1")

    first, second = emulator.log(system="convex")

    assert (first["action"], second["action"]) == ("sandboxes:createInternal", "sandboxes:updateStatus")
    assert second["id"] == "d1"
    assert second["detail"]["status"] == "stopped"
    assert first["time"] <= second["time"]


def test_rows_are_there_after_a_crash(tmp_path: Path) -> None:
    with Emulator("--convex-functions", "second", state=tmp_path / "state.sqlite3") as emulator:
        seed(emulator, harnesses=[{"userId": "user_ada", "name": "h"}])
        for daytona_id in ("d1", "d2", "d1"):
            call(emulator, "sandboxes:createInternal", **new(daytona_id))
        call(emulator, "sandboxes:removeByDaytonaIdInternal", daytonaSandboxId="d2")
        before = emulator.state("convex")

        emulator.restart(kill=True)

        assert emulator.state("convex") == before
        assert len(rows(emulator, "d1")) == 2
        call(emulator, "sandboxes:updateStatus", daytonaSandboxId="d1", status="stopped")
        assert [row["status"] for row in rows(emulator, "d1")] == ["stopped", "running"]
        value_of(call(emulator, "sandboxes:createInternal", **new("d3")))
        assert emulator.state("convex")["sandboxes"][-1]["daytonaSandboxId"] == "d3"
