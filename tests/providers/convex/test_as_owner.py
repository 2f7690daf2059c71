"""What the application's public functions tell when they are asked as one of its users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.providers.convex.gateway import (
    ACT_AS_USER,
    ApplicationRow,
    ConvexGateway,
    ConvexRejected,
    ConvexUnauthorized,
    ConvexUnavailable,
    FunctionFailed,
    FunctionMissing,
)
from tests.support.convex import sandbox_row, seed

if TYPE_CHECKING:
    from tests.providers.convex.conftest import Connect
    from tests.support.emulator import Emulator

ALL = ("first", "second", "main")
MAY_NOT = "dev:test|nobody-else-0123"
NO_ACTING = {
    "permissions": ["deployment:functions:runInternalQueries", "deployment:functions:runInternalMutations"]
}


def publish(emulator: Emulator, functions: str = "main", **convex: Any) -> None:
    keys = {emulator.convex_key: {}, MAY_NOT: NO_ACTING}
    emulator.settings(convex={"functions": functions} | convex, convex_keys=keys)


@pytest.mark.parametrize("functions", ALL)
def test_an_owners_rows_come_whole_and_nobody_elses(
    emulator: Emulator, gateway: ConvexGateway, functions: str
) -> None:
    publish(emulator, functions, redact=True)
    told = {
        "name": "box of Ada",
        "status": "error",
        "errorMessage": "disk",
        "harnessId": "$h",
        "language": "python",
    }
    ids = seed(
        emulator,
        harnesses=[{"_id": "$h", "userId": "user_ada", "name": "h"}],
        sandboxes=[sandbox_row(_id="$d1", lastAccessedAt=7, **told), sandbox_row("d2", userId="user_bob")],
    )

    assert gateway.rows_as_owner("user_ada") == [
        ApplicationRow(
            *("d1", "error", "user_ada", "box of Ada", "disk", ids["$h"], ids["$d1"]),
            ephemeral=False,
            language="python",
            last_used_ms=7,
        )
    ]
    assert [(row.message, row.harness_id) for row in gateway.rows_as_owner("user_bob")] == [("", "")]
    assert gateway.rows_as_owner("user_eve") == []


@pytest.mark.parametrize("functions", ALL)
@pytest.mark.parametrize("redact", [True, False])
def test_a_key_that_may_not_act_is_not_taken_for_no_rows(
    emulator: Emulator, connect: Connect, functions: str, redact: bool
) -> None:
    publish(emulator, functions, redact=redact)
    ids = seed(emulator, sandboxes=[sandbox_row()], harnesses=[{"_id": "$h", "userId": "user_ada", "name": "h"}])
    gateway = connect(deploy_key=MAY_NOT, unauthorized_pause=60.0)

    with pytest.raises(ConvexUnauthorized, match=ACT_AS_USER) as caught:
        gateway.rows_as_owner("user_ada")

    assert caught.value.permission == ACT_AS_USER
    assert gateway.is_harness_of("user_ada", ids["$h"]) is None
    assert gateway.owner_of("d1") == "user_ada"  # what the key may do does not rest because of it


def test_a_refusal_by_http_means_the_acting_where_the_key_is_good(emulator: Emulator, connect: Connect) -> None:
    publish(emulator)
    emulator.faults.add(
        "status", system="convex", path="/api/query", body='"sandboxes:list"', skip=0, status=403, times=1
    )
    emulator.faults.add("status", system="convex", body='"sandboxes:list"', skip=1, status=403)
    gateway = connect(unauthorized_pause=60.0)

    with pytest.raises(ConvexUnauthorized) as caught:
        gateway.rows_as_owner("user_ada")

    assert caught.value.permission == ACT_AS_USER
    assert gateway.owner_of("d1") is None


@pytest.mark.parametrize(("functions", "knows_better"), [("first", False), ("second", True), ("main", True)])
def test_nothing_is_not_believed_where_rows_can_be_counted(
    emulator: Emulator, gateway: ConvexGateway, functions: str, knows_better: bool
) -> None:
    publish(emulator, functions)
    seed(emulator, sandboxes=[sandbox_row()])
    answer = {"status": "success", "value": []}
    emulator.faults.add("status", system="convex", body='"sandboxes:list"', status=200, answer=answer)

    if knows_better:
        with pytest.raises(ConvexRejected, match="shows nothing to user_ada"):
            gateway.rows_as_owner("user_ada")
    else:
        assert gateway.rows_as_owner("user_ada") == []


def test_rows_of_somebody_else_are_not_believed(emulator: Emulator, gateway: ConvexGateway) -> None:
    row = {"daytonaSandboxId": "d2", "status": "running", "userId": "user_bob", "name": "x"}
    answer = {"status": "success", "value": [row]}
    emulator.faults.add("status", system="convex", body='"sandboxes:list"', status=200, answer=answer)

    with pytest.raises(ConvexRejected, match="somebody else"):
        gateway.rows_as_owner("user_ada")


def test_an_application_without_the_list_says_so(emulator: Emulator, gateway: ConvexGateway) -> None:
    emulator.settings(convex={"functions": "main"})
    emulator.faults.add(
        "status", system="convex", body="apiSpec", status=200, answer={"status": "success", "value": []}
    )

    with pytest.raises(FunctionMissing, match="sandboxes:list"):
        gateway.capabilities()
        gateway.rows_as_owner("user_ada")
    assert gateway.is_harness_of("user_ada", "h") is None


@pytest.mark.parametrize("redact", [True, False])
def test_a_list_that_fails_keeps_its_cause(emulator: Emulator, gateway: ConvexGateway, redact: bool) -> None:
    words = "[Request ID: 1f] Server Error" + ("" if redact else "\nUncaught Error: x")
    answer = {"status": "error", "errorMessage": words}
    emulator.faults.add("status", system="convex", body='"sandboxes:list"', status=200, answer=answer, times=1)

    with pytest.raises(FunctionFailed) as caught:
        gateway.rows_as_owner("user_ada")

    assert caught.value.cause_unknown is redact


@pytest.mark.parametrize("functions", ALL)
@pytest.mark.parametrize("redact", [True, False])
def test_whose_a_harness_is(emulator: Emulator, gateway: ConvexGateway, functions: str, redact: bool) -> None:
    publish(emulator, functions, redact=redact)
    harness = {"_id": "$h", "userId": "user_ada", "name": "h"}
    ids = seed(emulator, harnesses=[harness], sandboxes=[sandbox_row(_id="$s")])

    assert gateway.is_harness_of("user_ada", ids["$h"]) is True
    assert gateway.is_harness_of("user_bob", ids["$h"]) is False
    assert gateway.is_harness_of("user_ada", ids["$s"]) is None  # the id of something else
    assert gateway.is_harness_of("user_ada", "nonsense") is None


def test_an_outage_is_no_answer_about_a_harness(connect: Connect) -> None:
    with pytest.raises(ConvexUnavailable):
        connect(url="http://127.0.0.1:9").is_harness_of("user_ada", "h")


@pytest.mark.parametrize("owner", ["user_ada", "ünïcode|:user", "x" * 300])
def test_any_owner_can_be_asked_as(emulator: Emulator, gateway: ConvexGateway, owner: str) -> None:
    seed(emulator, sandboxes=[sandbox_row(userId=owner)])

    assert [row.owner for row in gateway.rows_as_owner(owner)] == [owner]
