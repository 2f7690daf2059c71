from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from django.db import connection

from sandboxes.core.codes import Refused
from sandboxes.core.vocabulary import Action, Actor, Source
from sandboxes.models import Operation, Sandbox
from sandboxes.services import lifecycle
from tests.support.driving import ask, pass_time, reload, settle, settled_status
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pytest_django import Settings

    from tests.support.emulator import Emulator

ALICE = Actor.owner("alice")


def create(**new: object) -> Operation:
    return lifecycle.create(
        "alice", actor=ALICE, source=Source.API, new=lifecycle.NewRequest(**new)  # type: ignore[arg-type]
    )  # fmt: skip


def test_the_name_in_daytona_is_a_slug_and_our_short_id(world: Emulator) -> None:
    operation = create(name="Größe & Co", harness_id="h1", tier="standard")
    settle(operation)
    row = reload(operation.sandbox_id)
    remote = world.sandbox(str(row.daytona_id))
    assert remote is not None
    assert remote["name"] == f"groe-co-{row.short_id}"
    assert remote["labels"] == {
        "sandkeeper_id": str(row.pk),
        "harness_user_id": "alice",
        "harness_resource_tier": "standard",
        "harness_id": "h1",
        "harness_name": "Größe & Co",
        "code-toolbox-language": "python",
    }


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("drop_before", {}),
        ("drop_after", {}),
        ("hang", {"seconds": 2.0, "execute": True}),
        ("status", {"status": 502, "answer": "<html>bad gateway</html>"}),
    ],
)
def test_an_unknown_outcome_neither_leaks_nor_duplicates(
    world: Emulator, settings: Settings, kind: str, more: dict[str, object]
) -> None:
    settings.DAYTONA_READ_TIMEOUT = settings.DAYTONA_HOLD_TIMEOUT = 0.5
    from sandboxes.providers.daytona import gateway as daytona

    daytona.reset()
    world.faults.add(kind, method="POST", path="/sandbox$", times=1, **more)
    operation = create()
    settle(operation)
    assert operation.status == "succeeded"
    assert world.state()["total"] == 1
    assert len(world.log(action="create")) == 1


def test_a_name_that_somebody_else_has_is_not_adopted(world: Emulator) -> None:
    operation = create()
    world.seed([{"name": operation.sandbox.daytona_name, "labels": {"harness_user_id": "bob"}}])
    settle(operation)
    assert (operation.status, operation.code) == ("failed", "name_taken")
    assert reload(operation.sandbox_id).status == "gone"
    assert world.log(action="delete") == []


def test_a_refused_create_leaves_a_tombstone_and_frees_its_place(world: Emulator) -> None:
    world.settings(quota={"cpu": 0, "memory": 100, "disk": 100, "gpu": 0})
    operation = create()
    settle(operation)
    assert (operation.status, operation.code) == ("failed", "quota_too_small")
    assert reload(operation.sandbox_id).status == "gone"


def test_a_start_that_fails_while_creating_leaves_an_errored_sandbox_that_can_be_deleted(
    world: Emulator,
) -> None:
    world.faults.add("host", operation="create", error="image is broken", times=1)
    operation = create()
    settle(operation)
    assert (operation.status, operation.code) == ("failed", "sandbox_unrecoverable")
    row = reload(operation.sandbox_id)
    assert (row.status, row.error_reason) == ("error", "image is broken")
    delete = ask(row, Action.DELETE)
    settle(delete)
    assert delete.status == "succeeded"


def test_a_delete_during_an_unknown_create_deletes_what_appears_later(world: Emulator, settings: Settings) -> None:
    settings.DAYTONA_READ_TIMEOUT = settings.DAYTONA_HOLD_TIMEOUT = 0.3
    settings.IN_DOUBT_SECONDS = 30.0
    from sandboxes.providers.daytona import gateway as daytona

    daytona.reset()
    world.faults.add("hang", method="POST", path="/sandbox$", times=1, seconds=60, execute_after=3.0)
    operation = create()
    lifecycle.attempt(operation.pk)
    delete = ask(operation.sandbox, Action.DELETE)
    settle(delete)

    def deleted() -> bool:
        settle()
        return [line["action"] for line in world.log()] == ["create", "delete"] and world.state()["total"] == 0

    wait_until(deleted, what="delete of the late sandbox")
    assert settled_status(operation.sandbox_id) == "gone"


def test_no_runner_is_tried_again(world: Emulator) -> None:
    world.settings(runner="none")
    operation = create()
    lifecycle.attempt(operation.pk)
    operation.refresh_from_db()
    assert "no free runner" in operation.step
    world.settings(runner="ready")
    settle(operation)
    assert operation.status == "succeeded"


def test_a_burst_of_twenty_creates_makes_exactly_five(world: Emulator) -> None:
    outcomes: Counter[str] = Counter()
    gate = threading.Barrier(20)

    def one() -> None:
        gate.wait()
        try:
            create()
            outcomes["created"] += 1
        except Refused as error:
            outcomes[error.code] += 1
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == {"created": 5, "sandbox_limit_reached": 15}
    assert Sandbox.objects.count() == 5


def test_an_unknown_tier_is_refused(world: Emulator) -> None:
    with pytest.raises(Refused, match="huge"):
        create(tier="huge")
    assert not Sandbox.objects.exists()


def test_a_create_has_its_time(world: Emulator, settings: Settings) -> None:
    busy = {"statusCode": 409, "message": "Sandbox state change in progress"}
    world.faults.add("status", method="POST", path="/sandbox$", status=409, answer=busy)
    operation = create()
    lifecycle.attempt(operation.pk)
    for _ in range(20):
        pass_time(10)
    operation.refresh_from_db()
    assert (operation.status, operation.code) == ("failed", "timeout")
    assert reload(operation.sandbox_id).status == "gone"


def test_without_a_free_host_it_waits_for_as_long_as_it_takes(world: Emulator, settings: Settings) -> None:
    world.settings(runner="none")
    operation = create()
    for _ in range(20):
        pass_time(60)
    operation.refresh_from_db()
    assert (operation.status, operation.step) == ("in_progress", "Daytona has no free runner; waiting")
    world.settings(runner="ready")
    settle(operation)
    assert operation.status == "succeeded"
