"""Rows made at an earlier migration, carried forwards and back."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from sandboxes.core.quota import Phase, QuotaSearch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE = ("sandboxes", "0013_notice_codes")
BEFORE_REMEDY = ("sandboxes", "0019_due_times")
BEFORE_NAMES = ("sandboxes", "0006_statistics_of_names")
BEFORE_GONE = ("sandboxes", "0020_notice_remedy")
BEFORE_CALLS = ("sandboxes", "0016_sandbox_without_projection")
NOW = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=2)
SENT = {"row": True, "status": "running", "error": "", "name": "Ünïcode", "late": ["name"]}


def migrate(target: tuple[str, str] | None = None) -> Any:
    """The models as they are at this migration, or at the latest."""
    executor = MigrationExecutor(connection)
    targets: list[tuple[str, str]] = [target] if target else executor.loader.graph.leaf_nodes("sandboxes")
    state = executor.migrate(targets)
    state.clear_delayed_apps_cache()  # an index of one model leaves those that refer to it with the former one
    return state.apps


@contextmanager
def using(name: str) -> Iterator[None]:
    """In the block the connection is to the database of this name."""
    usual = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = usual


@contextmanager
def copied(suffix: str) -> Iterator[str]:
    """A copy of the present database, and its name."""
    connection.close()
    connection.creation.clone_test_db(suffix, verbosity=0)
    try:
        yield connection.creation.get_test_db_clone_settings(suffix)["NAME"]
    finally:
        connection.creation.destroy_test_db(suffix=suffix, verbosity=0)


@pytest.fixture(scope="module")
def states(django_db_setup: None, django_db_blocker: Any) -> Iterator[Callable[[tuple[str, str]], tuple[str, Any]]]:
    """The name of an empty database as it was at a migration, and its models: the way back takes the longest."""
    with django_db_blocker.unblock(), ExitStack() as stack:

        @cache
        def at(target: tuple[str, str]) -> tuple[str, Any]:
            name = stack.enter_context(copied(f"at_{target[1][:4]}"))
            with using(name):
                return name, migrate(target)

        yield at


@pytest.fixture
def old(request: pytest.FixtureRequest, states: Callable[[tuple[str, str]], tuple[str, Any]]) -> Iterator[Any]:
    """The models as they were; the database is as it was then, and afterwards as the other tests have it."""
    name, models = states(getattr(request, "param", BEFORE))
    with using(name), copied("now") as now, using(now):
        yield models


def sandbox(old: Any, **fields: Any) -> UUID:
    owner, _ = old.get_model("sandboxes", "Owner").objects.get_or_create(pk="alice")
    values = {"id": uuid4(), "owner": owner, "created_at": EARLIER, "daytona_id": str(uuid4())}
    row = old.get_model("sandboxes", "Sandbox").objects.create(**values | fields)
    return UUID(str(row.pk))


CLEAN = {
    "revision": 7,
    "convex_revision": 7,
    "convex_known": True,
    "convex_sent": SENT,
    "convex_pushed_at": EARLIER,
}
STUCK = {
    "revision": 9,
    "convex_revision": 4,
    "dirty_since": EARLIER,
    "convex_next_push_at": NOW,
    "convex_again_at": NOW,
    "convex_attempt": 3,
    "convex_error": "Waiting: for Convex",
    "convex_refusal": "sandbox_limit_reached",
    "convex_known": True,
    "convex_sent": SENT,
    "convex_withdrawn": True,
    "convex_removed": True,
    "convex_link_due": True,
    "convex_lease_token": "a1",
    "convex_lease_until": NOW,
}
# As the old row was: what the projection is.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "clean": (
        CLEAN,
        {
            "wanted_generation": 7,
            "pushed_generation": 7,
            "behind_since": None,
            "due_at": None,
            "known": True,
            "sent": SENT,
            "pushed_at": EARLIER,
        },
    ),
    "clean, to be sent once more": (
        CLEAN | {"convex_again_at": NOW, "convex_next_push_at": NOW},
        {"wanted_generation": 7, "behind_since": None, "due_at": NOW, "resend_at": NOW},
    ),
    "behind, with all that a row can have": (
        STUCK,
        {
            "wanted_generation": 9,
            "pushed_generation": 4,
            "behind_since": EARLIER,
            "due_at": NOW,
            "resend_at": NOW,
            "attempt": 3,
            "error": "Waiting: for Convex",
            "refusal": "sandbox_limit_reached",
            "known": True,
            "sent": SENT,
            "withdrawn": True,
            "removed": True,
            "link_due": True,
            "lease_token": "a1",
            "lease_until": NOW,
        },
    ),
    "not in Daytona yet": (
        {"daytona_id": None, "revision": 3, "convex_link_due": True},
        {"wanted_generation": 0, "pushed_generation": 0, "behind_since": None, "due_at": None, "link_due": True},
    ),
}


def test_a_sandbox_gets_its_projection_and_gives_it_back(old: Any) -> None:
    pks = {case: sandbox(old, **fields) for case, (fields, _) in CASES.items()}
    new = migrate().get_model("sandboxes", "ConvexProjection").objects.in_bulk()
    found = {case: {name: getattr(new[pks[case]], name) for name in CASES[case][1]} for case in CASES}
    assert found == {case: expected for case, (_, expected) in CASES.items()}

    back = migrate(BEFORE).get_model("sandboxes", "Sandbox").objects.in_bulk()
    given = {case: dict(fields) for case, (fields, _) in CASES.items()}
    given["not in Daytona yet"]["revision"] = 1
    assert {case: {name: getattr(back[pks[case]], name) for name in given[case]} for case in CASES} == given


def test_a_row_that_was_behind_and_never_due_is_due(old: Any) -> None:
    pk = sandbox(old, revision=2, convex_revision=1)
    before = old.get_model("sandboxes", "Sandbox").objects.get(pk=pk)
    new = migrate().get_model("sandboxes", "ConvexProjection").objects.get(pk=pk)
    assert (new.behind_since, new.due_at) == (before.updated_at, before.updated_at)


def test_batches_leave_nobody_out(old: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandboxes.migrations.0015_projection.BATCH", 3)
    pks = {sandbox(old, **CLEAN) for _ in range(10)}
    new = migrate().get_model("sandboxes", "ConvexProjection").objects
    assert {row.pk for row in new.filter(wanted_generation=7)} == pks
    back = migrate(BEFORE).get_model("sandboxes", "Sandbox").objects
    assert {row.pk for row in back.filter(revision=7)} == pks


def test_the_breaker_and_the_schedules_leave_the_leases_and_come_back(old: Any) -> None:
    leases = old.get_model("sandboxes", "Lease").objects
    functions = {"own": True, "functions": ["sandkeeper:apply"]}
    made = [
        {"name": "convex", "holder": "unanswered", "until": NOW, "data": {"failures": 4} | functions},
        {"name": "convex_verification", "until": NOW, "data": {"at": "2026-05-01T12:00:00+00:00", "checked": 3}},
        {"name": "prune", "until": NOW, "data": {}},
        {"name": "sweep", "holder": "host-7", "token": "t", "until": NOW, "data": {}},
    ]
    for values in made:
        leases.create(**values)
    new = migrate()
    breaker = new.get_model("sandboxes", "CircuitBreaker").objects.get()
    assert (breaker.reason, breaker.failures, breaker.open_until) == ("unanswered", 4, NOW)
    assert (breaker.has_own_functions, breaker.functions) == (True, ["sandkeeper:apply"])
    schedules = new.get_model("sandboxes", "Schedule").objects.order_by("name")
    assert [(row.name, row.due_at, row.result) for row in schedules] == [
        ("convex_verification", NOW, made[1]["data"]),
        ("prune", NOW, {}),
    ]
    sweep = new.get_model("sandboxes", "Lease").objects.get()
    assert (sweep.name, sweep.holder, sweep.lease_token, sweep.lease_until) == ("sweep", "host-7", "t", NOW)
    back = migrate(BEFORE).get_model("sandboxes", "Lease").objects.order_by("name")
    assert [{name: getattr(row, name) for name in values} for row, values in zip(back, made, strict=True)] == made


@pytest.mark.parametrize("old", [BEFORE_REMEDY], indirect=True)
def test_a_notice_keeps_what_to_do_about_it(old: Any) -> None:
    old.get_model("sandboxes", "Notice").objects.create(
        code="orphans", message="Daytona has 2.", cure="Adopt them.", first_seen_at=EARLIER, last_seen_at=NOW
    )
    assert migrate().get_model("sandboxes", "Notice").objects.get().remedy == "Adopt them."
    assert migrate(BEFORE_REMEDY).get_model("sandboxes", "Notice").objects.get().cure == "Adopt them."


@pytest.mark.parametrize("old", [BEFORE_NAMES], indirect=True)
def test_what_was_taken_over_under_daytonas_name_loses_it_and_what_people_named_does_not(old: Any) -> None:
    machine = "5a91f1c2-0000-4000-8000-000000000001"
    shown = {"status": "running", "revision": 1, "convex_revision": 1, "convex_sent": {"row": True}}
    taken = sandbox(old, name=machine, daytona_name=machine, labels={"harness_user_id": "alice"})
    same = sandbox(old, name="box", daytona_name="box", labels={"harness_name": "box"})
    ours = sandbox(old, name="atlas", daytona_name="atlas-5a91f1c20000", **shown)
    linked = sandbox(old, name="new", harness_id="h1", status="creating")
    old.get_model("sandboxes", "Operation").objects.create(
        sandbox_id=linked, action="create", status="in_progress", created_at=NOW
    )
    sandboxes = migrate().get_model("sandboxes", "Sandbox").objects
    found = {row.pk: row for row in sandboxes.select_related("projection")}
    assert [found[pk].name for pk in (taken, same, ours)] == ["", "box", "atlas"]
    assert found[ours].projection.sent == {"row": True, "status": "running", "error": "", "name": "atlas"}
    assert [found[pk].projection.link_due for pk in (ours, linked)] == [False, True]


def at(minutes: float) -> datetime:
    return EARLIER + timedelta(minutes=minutes)


def made(name: str, minutes: float, outcome: str, **more: Any) -> dict[str, Any]:
    """A call as an operation kept it in its JSON."""
    return {"name": name, "at": at(minutes).isoformat(), "outcome": outcome, **more}


def operation(old: Any, sandbox_id: UUID, action: str, minutes: float, **fields: Any) -> UUID:
    values = {"sandbox_id": sandbox_id, "action": action, "status": "in_progress", "created_at": at(minutes)}
    row = old.get_model("sandboxes", "Operation").objects.create(**values | fields)
    return UUID(str(row.pk))


REFUSAL = {"words": "Sandbox is not stopped", "may_be_stale": True, "times": 3}
MOVED_ON = {"status": "cancelled", "finished_at": NOW}
LOOKING = {
    "phase": "victim",
    "victims": ["5a91f1c2-0000-4000-8000-000000000001"],
    "not_before": at(1).isoformat(),
    "until": at(2).isoformat(),
    "words": "Total CPU limit exceeded",
    "silent": ["5a91f1c2-0000-4000-8000-000000000002"],
    "lease": "t",
    "lease_name": "room:eu:small",
}
WANTED_BEFORE = {
    "intent": "running",
    "actor_kind": "service",
    "actor_id": "agents",
    "reason": "a task",
    "at": at(-60).isoformat(),
    "met_at": None,
}


@pytest.mark.parametrize("old", [BEFORE_CALLS], indirect=True)
def test_calls_get_rows_of_their_own(old: Any) -> None:
    pk = sandbox(old)
    stop = operation(old, pk, "stop", 0, calls=[made("stop", 0, "refused", **REFUSAL)], **MOVED_ON)
    start = operation(old, pk, "start", 1, calls=[made("start", 1, "accepted"), made("start", 2, "pending")])
    calls = migrate().get_model("sandboxes", "DaytonaCall").objects.filter(sandbox=pk).order_by("id")
    assert [(call.operation_id, call.name, call.first_at, call.outcome) for call in calls] == [
        (stop, "stop", at(0), "refused"),
        (start, "start", at(1), "accepted"),
        (start, "start", at(2), "pending"),
    ]
    assert [(call.message, call.may_be_stale, call.times) for call in calls] == [
        (REFUSAL["words"], True, 3),
        ("", False, 1),
        ("", False, 1),
    ]
    assert [call.in_doubt_until for call in calls] == [None, None, None]


# Calls of an operation, the last call of its sandbox, and for each row until when it is in doubt, and by an outage.
DOUBTS: list[tuple[list[dict[str, Any]], dict[str, Any], list[tuple[datetime | None, bool]]]] = [
    (  # both lost
        [made("stop", 0, "unknown"), made("start", 3, "unknown")],
        made("start", 3, "unknown", counted=False, unsettled_before=at(5).isoformat()),
        [(at(5), False), (at(8), True)],
    ),
    (  # the earlier one lost
        [made("stop", 0, "unknown"), made("start", 3, "accepted")],
        made("start", 3, "accepted", counted=True, unsettled_before=at(8).isoformat()),
        [(at(8), False), (None, False)],
    ),
    (  # the worker died
        [made("stop", 0, "accepted"), made("start", 3, "pending")],
        made("start", 3, "pending", unsettled_before=None),
        [(None, False), (at(8), False)],
    ),
]


@pytest.mark.parametrize("old", [BEFORE_CALLS], indirect=True)
def test_a_doubt_belongs_to_the_call_that_it_is_about(old: Any) -> None:
    pks = []
    for calls, last, _ in DOUBTS:
        pks.append(sandbox(old, last_call=last, unsettled_until=at(8)))
        operation(old, pks[-1], "start", 0, calls=calls)
    rows = migrate().get_model("sandboxes", "DaytonaCall").objects.order_by("id")
    found = [[(call.in_doubt_until, call.was_outage) for call in rows.filter(sandbox=pk)] for pk in pks]
    assert found == [expected for _, _, expected in DOUBTS]


@pytest.mark.parametrize("old", [BEFORE_CALLS], indirect=True)
def test_what_an_operation_waits_for_and_what_it_changed_goes_on(old: Any) -> None:
    wanted = {"intent": "stopped", "intent_actor_kind": "owner", "intent_actor_id": "alice", "intent_at": at(0)}
    pk = sandbox(old, **wanted)
    running = operation(old, pk, "start", 0, progress={"room": LOOKING}, previous_intent=WANTED_BEFORE)
    plain = operation(old, sandbox(old), "stop", 0)
    operations = migrate().get_model("sandboxes", "Operation").objects.select_related("intent_change")
    row, other = operations.get(pk=running), operations.get(pk=plain)
    assert QuotaSearch.from_data(row.search) == QuotaSearch(
        phase=Phase.VICTIM,
        message="Total CPU limit exceeded",
        not_before=at(1),
        until=at(2),
        victims=tuple(LOOKING["victims"]),
        unanswered=tuple(LOOKING["silent"]),
        lease="t",
        lease_name="room:eu:small",
    )
    change = row.intent_change
    assert (change.sandbox_id, change.intent, change.actor_id, change.at) == (pk, "stopped", "alice", at(0))
    assert (change.from_intent, change.from_actor_kind, change.from_actor_id) == ("running", "service", "agents")
    assert (change.from_reason, change.from_at, change.from_met_at) == ("a task", at(-60), None)
    assert (other.search, other.intent_change) == (None, None)


@pytest.mark.parametrize("old", [BEFORE_CALLS], indirect=True)
def test_the_way_back_keeps_the_rows_and_forgets_what_stood_in_the_json(old: Any) -> None:
    pk = sandbox(old, last_call=made("start", 0, "pending"), unsettled_until=at(8))
    progress = {"room": LOOKING}
    start = operation(
        old, pk, "start", 0, calls=[made("start", 0, "pending")], progress=progress, previous_intent=WANTED_BEFORE,
        next_check_at=at(1), ticked_at=at(2),
    )  # fmt: skip
    migrate()
    back = migrate(BEFORE_CALLS)
    row = back.get_model("sandboxes", "Operation").objects.get(pk=start)
    assert (row.status, row.next_check_at, row.ticked_at) == ("in_progress", at(1), at(2))
    assert (row.calls, row.progress, row.previous_intent) == ([], {}, None)
    assert (row.sandbox.last_call, row.sandbox.unsettled_until) == ({}, None)


# What a row said; status and time after it, whether it is looked at, and its projection's generation.
GONE: list[tuple[dict[str, Any], tuple[str, datetime | None], bool, int]] = [
    ({"status": "running"}, ("running", None), False, 1),
    ({"status": "gone", "deleted_at": NOW}, ("gone", NOW), False, 1),
    ({"status": "gone", "status_changed_at": EARLIER}, ("gone", EARLIER), True, 1),
    ({"status": "gone", "status_changed_at": None}, ("gone", EARLIER), True, 1),
    ({"status": "stopped", "deleted_at": NOW}, ("gone", NOW), False, 2),
]


@pytest.mark.parametrize("old", [BEFORE_GONE], indirect=True)
def test_what_is_gone_is_deleted_and_what_is_deleted_is_gone(old: Any) -> None:
    pks = [sandbox(old, **before) for before, *_ in GONE]
    projections = old.get_model("sandboxes", "ConvexProjection").objects
    for pk in pks:
        projections.create(sandbox_id=pk, wanted_generation=1, pushed_generation=1)
    new = migrate().get_model("sandboxes", "Sandbox").objects.select_related("projection").in_bulk()
    rows = [new[pk] for pk in pks]
    assert [((row.status, row.deleted_at), row.fetch_due_at is not None) for row in rows] == [
        (after, is_fetched) for _, after, is_fetched, _ in GONE
    ]
    told = [(row.projection.wanted_generation, row.projection.due_at is not None) for row in rows]
    assert told == [(generation, generation > 1) for *_, generation in GONE]
    back = migrate(BEFORE_GONE).get_model("sandboxes", "Sandbox").objects.in_bulk()
    assert [(back[pk].status, back[pk].deleted_at) for pk in pks] == [after for _, after, *_ in GONE]
