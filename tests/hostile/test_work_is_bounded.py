"""What one caller may have done: bulk requests, and operations of one owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sandboxes import clock
from sandboxes.core.vocabulary import Action, Actor, Source
from sandboxes.models import Lease, Operation, Owner, Sandbox, SandboxEvent
from sandboxes.services import concurrency, leases, lifecycle
from tests.admin import members
from tests.api.callers import Api, problem, program, signed_in
from tests.support import rows

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db


def bulk(api: Api, ids: list[Any], action: str = "stop") -> Any:
    return api.post("/sandboxes/bulk", {"action": action, "ids": [str(one) for one in ids]})


def statements(api: Api, ids: list[Any]) -> int:
    with CaptureQueriesContext(connection) as queries:
        answer = bulk(api, ids)
    assert answer.status_code == 207, answer.content
    assert len(answer.json()["results"]) == len(ids)
    return len(queries)


def boxes(count: int, **fields: Any) -> list[Any]:
    return [rows.sandbox(f"box {number}", of="alice", **fields).pk for number in range(count)]


def test_unknown_ids_take_as_many_statements_however_many_they_are(alice: Api) -> None:
    statements(alice, [uuid4()])  # a key's first use is written down
    assert statements(alice, [uuid4() for _ in range(200)]) == statements(alice, [uuid4()])


def test_own_sandboxes_take_as_many_statements_however_many_they_are(alice: Api, settings: Settings) -> None:
    statements(alice, [uuid4()])
    assert statements(alice, boxes(20)) == statements(alice, boxes(2))


def test_done_together_each_gets_what_it_would_get_alone(alice: Api) -> None:
    alone, *many = boxes(3)
    alice.post(f"/sandboxes/{alone}/stop", {"reason": "lunch"})
    alice.post("/sandboxes/bulk", {"action": "stop", "ids": [str(pk) for pk in many], "reason": "lunch"})
    assert len({told(pk) for pk in (alone, *many)}) == 1


def told(pk: Any) -> str:
    """Row, operation and timeline, but for what no two have in common."""
    row = Sandbox.objects.filter(pk=pk).values("intent", "intent_reason", "intent_actor_id", "status")
    operation = Operation.objects.filter(sandbox=pk).values("action", "status", "reason", "actor_id", "source")
    events = SandboxEvent.objects.filter(sandbox=pk).order_by("pk").values_list("kind", "text", "actor", "data")
    return f"{row.get()} {operation.get()} {list(events)}"


def test_one_sandbox_in_many_spellings_is_asked_once(alice: Api) -> None:
    box = rows.sandbox(of="alice")
    plain, daytona = str(box.pk), str(box.daytona_id)
    ids = [plain, plain.upper(), box.pk.hex, box.pk.hex.upper(), daytona, daytona.upper(), daytona.replace("-", "")]
    answer = bulk(alice, ids).json()
    assert (answer["accepted"], [row["id"] for row in answer["results"]]) == (1, [plain])
    assert Operation.objects.count() == 1


def test_each_id_counts_in_the_rate_limit(alice: Api, settings: Settings) -> None:
    settings.RATE_LIMITS = {"service": 12, "owner": 12, "staff": 12}
    one = uuid4()
    assert "r=7;" in bulk(alice, [*(uuid4() for _ in range(4)), one, str(one).upper()])["RateLimit"]
    refused = bulk(alice, [uuid4() for _ in range(20)])
    assert problem(refused, "rate_limited")["detail"].startswith("This asks for 20 of 12")
    assert "r=6;" in refused["RateLimit"]  # what was refused has not been counted
    assert bulk(alice, [uuid4() for _ in range(5)]).status_code == 207


def test_two_bulks_of_a_caller_run_at_once_and_no_third(alice: Api) -> None:
    (principal,) = [f"service:{pk}" for pk in service_keys()]
    with concurrency.bulk(principal), concurrency.bulk(principal):
        refused = bulk(alice, [uuid4()])
        assert int(refused["Retry-After"]) >= 1
        problem(refused, "too_many_bulk_requests")
        assert bulk(program("alice"), [uuid4()]).status_code == 207, "another caller has places of its own"
    assert bulk(alice, [uuid4()]).status_code == 207
    assert not Lease.objects.exists()


def service_keys() -> list[int]:
    from sandboxes.models import ServiceKey

    return list(ServiceKey.objects.values_list("pk", flat=True))


def test_what_a_process_that_died_held_is_free_after_a_while(alice: Api) -> None:
    (principal,) = [f"service:{pk}" for pk in service_keys()]
    for _ in range(concurrency.BULKS_AT_ONCE):
        assert isinstance(concurrency._take(principal), leases.HeldLease)
    problem(bulk(alice, [uuid4()]), "too_many_bulk_requests")
    clock.move(concurrency.SECONDS + 1)
    assert bulk(alice, [uuid4()]).status_code == 207


# Operations of an owner


@pytest.fixture
def few(settings: Settings) -> None:
    settings.OPERATIONS_PER_OWNER_PER_HOUR = 2


def test_an_owner_has_so_many_operations_an_hour(alice: Api, few: None) -> None:
    first, second, third = boxes(3)
    for pk in (first, second, first, second):  # the repetitions are joined
        assert alice.post(f"/sandboxes/{pk}/stop").status_code == 202
    refused = alice.post(f"/sandboxes/{third}/stop")
    problem(refused, "operation_budget_spent")
    assert 1 <= int(refused["Retry-After"]) <= 3600
    problem(alice.post("/sandboxes", {}), "operation_budget_spent")
    assert Sandbox.objects.get(pk=third).intent == "running"
    assert Operation.objects.count() == 2
    clock.move(3600)
    assert alice.post(f"/sandboxes/{third}/stop").status_code == 202


def test_refused_requests_are_not_counted(alice: Api, few: None) -> None:
    brief, lasting = rows.sandbox(of="alice", ephemeral=True), rows.sandbox(of="alice")
    for _ in range(3):
        problem(alice.post(f"/sandboxes/{brief.pk}/stop"), "ephemeral_would_be_destroyed")
    assert alice.post(f"/sandboxes/{lasting.pk}/stop").status_code == 202
    assert Owner.objects.get(pk="alice").operations_in_hour == 1


def test_staff_the_system_and_deletes_are_exempt(alice: Api, few: None) -> None:
    first, second, *others = boxes(5)
    bulk(alice, [first, second])
    staff, system, deleted = others
    assert signed_in(members.operator()).post(f"/sandboxes/{staff}/stop").status_code == 202
    assert lifecycle.request(system, Action.STOP, actor=Actor.system("evictor"), source=Source.EVICTION)
    assert alice.delete(f"/sandboxes/{deleted}").status_code == 202


def test_a_bulk_gets_as_many_as_there_are_left(alice: Api, few: None) -> None:
    answer = bulk(alice, boxes(4)).json()
    codes = [row["problem"] and row["problem"]["code"] for row in answer["results"]]
    assert sorted(map(str, codes)) == ["None", "None", "operation_budget_spent", "operation_budget_spent"]
    assert Operation.objects.count() == 2


@pytest.mark.parametrize(
    "change",
    [
        {"name": "atlas"},
        {"auto_stop_minutes": 15},
        {"protected_until": None},
    ],
)
def test_a_change_to_what_already_is_makes_no_row(alice: Api, atlas: Sandbox, change: dict[str, Any]) -> None:
    assert alice.patch(f"/sandboxes/{atlas.pk}", change).status_code == 200
    assert not SandboxEvent.objects.exists()
    atlas.refresh_from_db()
    assert not atlas.pending_changes
