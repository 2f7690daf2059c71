"""The gateway with each of the three published sets of functions: it uses what is there, names what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes.providers.convex.gateway import ConvexApplicationError, ConvexGateway, FunctionMissing
from tests.providers.convex.conftest import Connect, row
from tests.support.convex import rows, sandbox_row, seed

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

ALL = ("first", "second", "main")
BRANCH = ("first", "second")
WITHOUT_LISTING = "dev:test|functions-only-0123"


def publish(emulator: Emulator, functions: str) -> None:
    rules = {"permissions": [f"deployment:functions:runInternal{kind}" for kind in ("Queries", "Mutations")]}
    emulator.settings(
        convex={"functions": functions},
        convex_keys={emulator.convex_key: {}, WITHOUT_LISTING: rules},
    )


@pytest.mark.parametrize("functions", ALL)
def test_a_row_is_created_with_all_that_is_known(
    emulator: Emulator, gateway: ConvexGateway, functions: str
) -> None:
    publish(emulator, functions)
    ids = seed(emulator, harnesses=[{"_id": "$h", "userId": "user_ada", "name": "h"}])

    row_id = gateway.create_row(
        "d1", owner="user_ada", row=row(language="python", harness_id=ids["$h"], ephemeral=True, cpu=2)
    )

    (stored,) = rows(emulator, "d1")
    assert stored["_id"] == row_id
    assert (stored["userId"], stored["language"], stored["harnessId"]) == ("user_ada", "python", ids["$h"])
    assert stored["resources"] == {"cpu": 2.0, "memoryGB": 1.0, "diskGB": 3.0}
    assert stored["ephemeral"] is True
    (harness,) = emulator.state("convex")["harnesses"]
    assert (harness["sandboxId"], harness["daytonaSandboxId"]) == (row_id, "d1")


@pytest.mark.parametrize("functions", ALL)
def test_what_is_not_known_is_not_sent(emulator: Emulator, gateway: ConvexGateway, functions: str) -> None:
    publish(emulator, functions)

    gateway.create_row("d1", owner="user_ada", row=row())

    (stored,) = rows(emulator, "d1")
    assert not stored.keys() & {"language", "harnessId", "errorMessage", "snapshotId", "gitRepo"}


@pytest.mark.parametrize("functions", ALL)
def test_a_repeated_create_makes_a_second_row_which_is_why_callers_ask_first(
    emulator: Emulator, gateway: ConvexGateway, functions: str
) -> None:
    publish(emulator, functions)
    assert gateway.owner_of("d1") is None
    gateway.create_row("d1", owner="user_ada", row=row())
    assert gateway.owner_of("d1") == "user_ada"

    gateway.create_row("d1", owner="user_ada", row=row())

    assert len(rows(emulator, "d1")) == 2


@pytest.mark.parametrize("functions", ALL)
def test_an_error_message_is_set_and_cleared(emulator: Emulator, gateway: ConvexGateway, functions: str) -> None:
    publish(emulator, functions)
    seed(emulator, sandboxes=[sandbox_row()])

    gateway.update_status("d1", status="error", error_message="disk full")
    assert rows(emulator, "d1")[0]["errorMessage"] == "disk full"

    gateway.update_status("d1", status="running")
    (stored,) = rows(emulator, "d1")
    assert stored["status"] == "running"
    assert not stored.get("errorMessage")
    # Where the function clears it by itself, the key goes; main can only be sent an empty one.
    assert ("errorMessage" in stored) is (functions == "main")


@pytest.mark.parametrize("functions", ALL)
@pytest.mark.parametrize("may_list", [True, False])
def test_the_row_is_removed_by_whatever_removes(
    emulator: Emulator, connect: Connect, functions: str, may_list: bool
) -> None:
    publish(emulator, functions)
    seed(emulator, sandboxes=[sandbox_row(), sandbox_row("d2")])
    gateway = connect(deploy_key=emulator.convex_key if may_list else WITHOUT_LISTING)

    gateway.remove("d1")
    gateway.remove("d1")

    assert rows(emulator, "d1") == []
    assert len(rows(emulator, "d2")) == 1


def test_the_cap_of_main_keeps_its_code(emulator: Emulator, gateway: ConvexGateway) -> None:
    publish(emulator, "main")
    seed(emulator, sandboxes=[sandbox_row(f"full{number}") for number in range(5)])

    with pytest.raises(ConvexApplicationError) as caught:
        gateway.create_row("d1", owner="user_ada", row=row())

    assert caught.value.application_code == "sandbox_limit_reached"
    assert rows(emulator, "d1") == []


@pytest.mark.parametrize("functions", BRANCH)
def test_names_and_use_reach_the_branch(emulator: Emulator, gateway: ConvexGateway, functions: str) -> None:
    publish(emulator, functions)
    seed(emulator, sandboxes=[sandbox_row(lastAccessedAt=1)])

    gateway.update_name("d1", name="renamed")
    gateway.touch("d1")

    (stored,) = rows(emulator, "d1")
    assert stored["name"] == "renamed"
    assert stored["lastAccessedAt"] > 1


def test_main_has_no_names_and_no_use(emulator: Emulator, gateway: ConvexGateway) -> None:
    publish(emulator, "main")

    with pytest.raises(FunctionMissing, match="sandboxes:updateMetadataInternal"):
        gateway.update_name("d1", name="renamed")
    with pytest.raises(FunctionMissing, match="sandboxes:touchSandboxInternal"):
        gateway.touch("d1")


def test_statuses_can_be_read_by_id_on_the_first_set_only(emulator: Emulator, gateway: ConvexGateway) -> None:
    publish(emulator, "first")
    seed(emulator, sandboxes=[sandbox_row(status="stopped")])
    assert gateway.status_of("d1") == "stopped"
    assert gateway.status_of("d2") is None

    publish(emulator, "second")
    with pytest.raises(FunctionMissing) as caught:
        gateway.status_of("d1")
    assert caught.value.path == "sandboxes:getStatusByDaytonaId"


def test_an_owners_rows_are_listed_on_the_second_set_only(emulator: Emulator, gateway: ConvexGateway) -> None:
    publish(emulator, "second")
    seed(
        emulator, sandboxes=[sandbox_row(), sandbox_row("d2", status="error"), sandbox_row("d3", userId="user_bob")]
    )

    listed = gateway.list_for_reconcile("user_ada")
    assert [(item.daytona_id, item.status) for item in listed] == [("d1", "running"), ("d2", "error")]

    publish(emulator, "main")
    with pytest.raises(FunctionMissing):
        gateway.list_for_reconcile("user_ada")


def test_success_does_not_prove_that_there_is_a_row(emulator: Emulator, gateway: ConvexGateway) -> None:
    publish(emulator, "second")

    gateway.update_status("nowhere", status="running")
    gateway.update_name("nowhere", name="x")
    gateway.touch("nowhere")
    gateway.remove("nowhere")

    assert emulator.state("convex")["sandboxes"] == []
