"""`apply` and `list_all` over real HTTP; what they do to rows is in convex/cases.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes.providers.convex.gateway import ApplicationRow, Applied, ConvexGateway, FunctionFailed, RowChange
from tests.providers.convex.conftest import row
from tests.support.convex import rows, sandbox_row, seed

if TYPE_CHECKING:
    from tests.support.emulator import Emulator


@pytest.fixture(autouse=True)
def with_own_functions(emulator: Emulator) -> None:
    emulator.settings(convex={"sandkeeper": True})


def change(number: int = 1, *, revision: int = 1, **fields: object) -> RowChange:
    known = {"sandbox_id": f"s{number}", "daytona_id": f"d{number}", "owner": "user_ada", "revision": revision}
    return RowChange(**(known | fields))  # type: ignore[arg-type]


def test_every_field_arrives(emulator: Emulator, gateway: ConvexGateway) -> None:
    whole = row(
        status="error",
        error_message="disk",
        language="python",
        snapshot="daytona-small",
        git_repo="https://x/y.git",
    )

    assert gateway.apply([change(row=whole, last_accessed_ms=1714850009999)]) == [Applied("d1", "applied", 1)]

    (stored,) = rows(emulator, "d1")
    del stored["_id"], stored["_creationTime"]
    assert stored == {
        "userId": "user_ada",
        "daytonaSandboxId": "d1",
        "name": "box",
        "status": "error",
        "errorMessage": "disk",
        "ephemeral": False,
        "resources": {"cpu": 1.0, "memoryGB": 1.0, "diskGB": 3.0},
        "language": "python",
        "snapshotId": "daytona-small",
        "gitRepo": "https://x/y.git",
        "createdAt": 1714850000123.0,
        "lastAccessedAt": 1714850009999.0,
    }


def test_a_refused_revision_comes_with_the_stored_one(gateway: ConvexGateway) -> None:
    gateway.apply([change(revision=2**50, row=row())])

    assert gateway.apply([change(revision=3, row=row(status="stopped"))]) == [Applied("d1", "stale", 2**50)]


def test_a_lost_answer_is_repeated_without_harm(emulator: Emulator, gateway: ConvexGateway) -> None:
    changes = [change(number, row=row()) for number in range(100)]

    first, again = gateway.apply(changes), gateway.apply(changes)

    assert first == again
    assert len(emulator.state("convex")["sandboxes"]) == 100


def test_removal_and_touch(emulator: Emulator, gateway: ConvexGateway) -> None:
    gateway.apply([change(1, row=row()), change(2, row=row())])

    results = gateway.apply([change(1, revision=2, remove=True), change(2, last_accessed_ms=5), change(3)])

    assert [result.outcome for result in results] == ["applied", "applied", "no_row"]
    assert rows(emulator, "d1") == []
    assert rows(emulator, "d2")[0]["lastAccessedAt"] == 5.0


def test_a_foreign_row_is_reported(emulator: Emulator, gateway: ConvexGateway) -> None:
    seed(emulator, sandboxes=[sandbox_row(userId="user_bob")])

    assert gateway.apply([change(row=row(name="taken"))]) == [Applied("d1", "foreign_owner", 0)]
    assert rows(emulator, "d1")[0]["name"] == "box"


def test_more_than_a_hundred_are_not_sent(emulator: Emulator, gateway: ConvexGateway) -> None:
    with pytest.raises(ValueError, match="101 changes"):
        gateway.apply([change(number, row=row()) for number in range(101)])

    assert emulator.counts()["convex"] == {}


def test_a_harness_is_linked_at_the_first_creation_alone(emulator: Emulator, gateway: ConvexGateway) -> None:
    (harness,) = seed(emulator, harnesses=[{"userId": "user_ada", "name": "h"}]).values()
    linked = row(harness_id=harness)

    assert gateway.apply([change(1, row=linked), change(2, row=linked, first_creation=True)]) == [
        Applied("d1", "applied", 1),
        Applied("d2", "applied", 1, harness_linked=True),
    ]

    gateway.apply([change(2, revision=2, remove=True)])
    again = gateway.apply([change(2, revision=3, row=linked, first_creation=True)])
    assert [one.harness_linked for one in again] == [False]
    assert "sandboxId" not in emulator.state("convex")["harnesses"][0]


def test_what_the_schema_lacks_is_told(emulator: Emulator, gateway: ConvexGateway) -> None:
    assert gateway.lacking() == ()
    emulator.settings(convex={"sandkeeper": True, "lacks": ["harnesses.by_user"]})
    assert gateway.lacking() == ("harnesses.by_user",)


def test_a_function_of_ours_that_fails_is_not_taken_for_missing(emulator: Emulator, gateway: ConvexGateway) -> None:
    emulator.settings(convex={"sandkeeper": True, "redact": True, "lacks": ["harnesses.by_user"]})

    with pytest.raises(FunctionFailed) as caught:
        gateway.apply([change(remove=True)])

    assert caught.value.cause_unknown


def test_a_change_cannot_both_write_and_remove() -> None:
    with pytest.raises(ValueError, match="either"):
        change(row=row(), remove=True)


def test_every_row_is_listed_once_and_whole(emulator: Emulator, gateway: ConvexGateway) -> None:
    told = {"status": "error", "errorMessage": "x", "harnessId": "$h", "lastAccessedAt": 7, "ephemeral": True}
    harness = {"_id": "$h", "userId": "user_bob", "name": "h"}
    foreign = sandbox_row("foreign", _id="$row", userId="user_bob", **told)
    ids = seed(emulator, sandboxes=[foreign], harnesses=[harness])
    gateway.apply([change(number, row=row()) for number in range(10)])

    listed: list[ApplicationRow] = []
    page = gateway.list_all(limit=4)
    listed += page.rows
    while page.cursor is not None:
        page = gateway.list_all(page.cursor, limit=4)
        listed += page.rows

    assert listed[0] == ApplicationRow(
        *("foreign", "error", "user_bob", "box", "x", ids["$h"], ids["$row"]),
        ephemeral=True,
        language="",
        last_used_ms=7,
    )
    assert [(one.daytona_id, one.sandbox_id, one.revision, one.message) for one in listed[1:]] == [
        (f"d{number}", f"s{number}", 1, "") for number in range(10)
    ]
