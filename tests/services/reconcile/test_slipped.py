"""Steps without a remote call: they go on while Daytona is down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandboxes import clock
from sandboxes.core.codes import NoticeCode
from sandboxes.core.vocabulary import Action, Intent, OperationStatus, Status
from sandboxes.models import Notice, Sandbox, Sweep
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.services import notices, reconcile
from sandboxes.services.reconcile import FindingKind, Options
from tests.support import rows

if TYPE_CHECKING:
    from uuid import UUID

    from pytest_django import Settings

    from tests.support.emulator import Emulator


@pytest.fixture
def down(world: Emulator, settings: Settings) -> None:
    settings.DAYTONA_API_URL = "http://127.0.0.1:9/api"
    daytona.reset()


def is_open(code: NoticeCode) -> bool:
    return Notice.objects.filter(code=code, closed_at=None).exists()


def due_sandboxes() -> list[UUID]:
    return list(Sandbox.objects.filter(fetch_due_at__lte=clock.now()).values_list("pk", flat=True))


@pytest.mark.usefixtures("down")
def test_what_is_due_stays_due_while_daytona_is_down() -> None:
    """The rows are the queue: a sweep moves nothing that waits, neither ahead nor back."""
    due, later = rows.ago(seconds=5), rows.ago(seconds=-30)
    operation = rows.operation(rows.sandbox(), Action.STOP, OperationStatus.QUEUED, due_at=due)
    soon, rests = rows.sandbox(fetch_due_at=due), rows.sandbox(fetch_due_at=later)
    assert reconcile.sweep().result == Sweep.Result.PARTIAL
    for row in (operation, soon, rests):
        row.refresh_from_db()
    assert (operation.due_at, soon.fetch_due_at, rests.fetch_due_at) == (due, due, later)


@pytest.mark.usefixtures("down")
@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("intents", {"intent": "stopped", "intent_met_at": None}),
        ("changes", {"pending_changes": {"harness_name": {"value": "new"}}}),
        ("doubts", {"missing_since": rows.ago(minutes=3)}),
        ("moving", {"status": Status.STOPPING}),
    ],
)
def test_a_row_that_slipped_is_looked_at_again(name: str, fields: dict[str, Any]) -> None:
    sandbox = rows.sandbox(**fields)
    result = reconcile.sweep()
    assert result.report.counts[f"slipped_{name}"] == 1
    assert due_sandboxes() == [sandbox.pk]


@pytest.mark.usefixtures("down")
def test_what_is_gone_has_not_slipped_unless_a_call_of_ours_may_bring_it_back() -> None:
    rows.sandbox(status=Status.GONE, intent="running", intent_met_at=None)
    unsure = rows.sandbox(status=Status.GONE, intent_met_at=None)
    rows.call(rows.operation(unsure), "create", in_doubt_until=rows.ago(seconds=-60))
    assert reconcile.sweep().report.counts["slipped_intents"] == 1


@pytest.mark.usefixtures("down")
def test_a_row_whose_operation_is_active_has_not_slipped() -> None:
    sandbox = rows.sandbox(intent="stopped", intent_met_at=None)
    rows.operation(sandbox, Action.STOP, OperationStatus.IN_PROGRESS, due_at=rows.ago(seconds=-60))
    result = reconcile.sweep()
    assert [name for name in result.report.counts if name.startswith("slipped")] == []


@pytest.mark.usefixtures("down")
def test_an_operation_without_a_next_attempt_gets_one() -> None:
    operation = rows.operation(rows.sandbox(), Action.STOP, OperationStatus.IN_PROGRESS, due_at=None)
    result = reconcile.sweep()
    assert result.report.counts["slipped_operations"] == 1
    operation.refresh_from_db()
    assert operation.due_at is not None
    assert operation.due_at <= clock.now()


@pytest.mark.usefixtures("down")
def test_a_dry_run_counts_them_and_writes_nothing() -> None:
    sandbox = rows.sandbox(intent="stopped", intent_met_at=None)
    before = Sandbox.objects.values().get(pk=sandbox.pk)
    result = reconcile.sweep(Options(dry_run=True))
    assert result.report.counts["slipped_intents"] == 1
    assert Sandbox.objects.values().get(pk=sandbox.pk) == before
    assert due_sandboxes() == []


@pytest.mark.usefixtures("down")
def test_a_delete_that_daytona_does_not_finish_is_one_notice() -> None:
    old, young = rows.ago(minutes=11), rows.ago(minutes=9)
    for number in range(5):
        rows.sandbox(f"stuck {number}", intent=Intent.DELETED, intent_at=old, intent_met_at=None)
    rows.sandbox("young", intent=Intent.DELETED, intent_at=young, intent_met_at=None)
    rows.sandbox("deleted", status=Status.GONE, intent_at=old)
    result = reconcile.sweep()
    assert result.report.counts[FindingKind.STUCK] == 5
    assert Notice.objects.filter(code=NoticeCode.DELETE_STUCK, closed_at=None).count() == 1


@pytest.mark.usefixtures("down")
def test_for_one_owner_only_their_stuck_deletes_are_reported() -> None:
    rows.sandbox("stuck", of="bob", intent=Intent.DELETED, intent_at=rows.ago(minutes=11), intent_met_at=None)
    result = reconcile.sweep(Options(owner="alice"))
    assert result.report.counts[FindingKind.STUCK] == 0
    assert is_open(NoticeCode.DELETE_STUCK), "a condition of the whole installation all the same"


@pytest.mark.usefixtures("down")
def test_what_daytona_neither_finishes_nor_fails_is_one_notice_until_it_passes() -> None:
    row = rows.sandbox("stands", status=Status.STOPPING, status_changed_at=rows.ago(minutes=45))
    result = reconcile.sweep()
    assert result.report.counts[FindingKind.STUCK] == 1
    assert is_open(NoticeCode.SANDBOX_STUCK)
    assert not is_open(NoticeCode.DELETE_STUCK)
    Sandbox.objects.filter(pk=row.pk).update(status=Status.STOPPED)
    reconcile.sweep()
    assert not is_open(NoticeCode.SANDBOX_STUCK)


@pytest.mark.usefixtures("down")
def test_the_notice_ends_with_the_last_stuck_delete() -> None:
    notices.tell(NoticeCode.DELETE_STUCK, "Daytona has not finished deleting x.")
    reconcile.sweep()
    assert not is_open(NoticeCode.DELETE_STUCK)


@pytest.mark.usefixtures("down")
def test_a_refusal_that_is_long_ago_needs_no_notice() -> None:
    notices.tell(NoticeCode.UNKNOWN_ANSWER, "Daytona refuses to show a sandbox")
    reconcile.sweep()
    assert is_open(NoticeCode.UNKNOWN_ANSWER)
    Notice.objects.update(last_seen_at=rows.ago(minutes=16))
    reconcile.sweep()
    assert not is_open(NoticeCode.UNKNOWN_ANSWER)


@pytest.mark.usefixtures("down")
def test_a_word_that_nobody_says_any_more_needs_no_notice() -> None:
    sandbox = rows.sandbox(observed_state="dreaming")
    notices.tell(NoticeCode.UNKNOWN_STATE, "Daytona says dreaming")
    reconcile.sweep()
    assert is_open(NoticeCode.UNKNOWN_STATE)
    Sandbox.objects.filter(pk=sandbox.pk).update(observed_state="started")
    reconcile.sweep()
    assert not is_open(NoticeCode.UNKNOWN_STATE)


@pytest.mark.usefixtures("down")
def test_staff_are_told_when_no_worker_lives() -> None:
    reconcile.sweep()
    assert is_open(NoticeCode.WORKER_SILENT)


@pytest.mark.usefixtures("world")
def test_a_process_without_daytonas_key_does_its_local_steps_and_says_so(settings: Settings) -> None:
    settings.DAYTONA_API_KEY = ""
    daytona.reset()
    slipped = rows.sandbox(intent="stopped", intent_met_at=None)
    result = reconcile.sweep()
    assert (result.result, result.report.counts["slipped_intents"]) == (Sweep.Result.PARTIAL, 1)
    assert due_sandboxes() == [slipped.pk]
    assert "DAYTONA_API_KEY" in result.detail


def test_a_complete_list_ends_the_notice_of_a_refused_key(world: Emulator) -> None:
    notices.tell(NoticeCode.DAYTONA_UNAUTHORIZED, "Daytona refuses our key")
    reconcile.sweep()
    assert not is_open(NoticeCode.DAYTONA_UNAUTHORIZED)


def test_a_refused_key_is_one_notice(world: Emulator, settings: Settings) -> None:
    settings.DAYTONA_API_KEY = "dtn_wrong"
    daytona.reset()
    result = reconcile.sweep()
    assert result.result == Sweep.Result.PARTIAL
    assert is_open(NoticeCode.DAYTONA_UNAUTHORIZED)
