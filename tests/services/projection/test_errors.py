"""What each of Convex's errors does to the row, to staff, and to the other rows."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pytest

from sandboxes import clock
from sandboxes.core.codes import NoticeCode
from sandboxes.core.vocabulary import Status
from sandboxes.models import Notice
from sandboxes.providers.convex import gateway
from sandboxes.services import projection
from tests.services.projection.driving import (
    Convex,
    change,
    delete,
    is_open,
    projected,
    push,
    push_until_clean,
    sandbox,
    timeline,
)

pytestmark = pytest.mark.django_db(transaction=True)
HTML = "<html><body>502 Bad Gateway</body></html>"


@dataclass(frozen=True)
class Case:
    """A fault of one updateStatus, and what is expected after it. `said`: in the words for staff."""

    name: str
    fault: dict[str, Any]
    label: str
    said: str
    again: bool = False
    notice: NoticeCode | None = None


def status(code: int, answer: Any = None) -> dict[str, Any]:
    return {"kind": "status", "status": code, "answer": answer}


def envelope(**fields: Any) -> dict[str, Any]:
    return status(200, {"status": "error", **fields})


CASES = [
    Case(
        "function error with errorData",
        envelope(errorMessage="Server Error", errorData={"code": "nope", "message": "Not on a Sunday"}),
        "Refused", "Not on a Sunday", notice=NoticeCode.CONVEX_REFUSED,
    ),
    Case(
        "function error", envelope(errorMessage="Uncaught Error: x"),
        "Refused", "updateStatus failed", notice=NoticeCode.CONVEX_REFUSED,
    ),
    Case(
        "redacted function error", envelope(errorMessage="[Request ID: 1] Server Error"),
        "Refused", "updateStatus failed", notice=NoticeCode.CONVEX_REFUSED,
    ),
    Case(
        "validation error", envelope(errorMessage="ArgumentValidationError: Object is missing the field"),
        "Refused", "ArgumentValidationError", notice=NoticeCode.CONVEX_REFUSED,
    ),
    Case(
        "wrong kind", envelope(errorMessage="Trying to execute x as Query, but it is defined as Mutation."),
        "Refused", "defined as Mutation", notice=NoticeCode.CONVEX_REFUSED,
    ),
    Case(
        "bad request", status(400, {"code": "BadJsonBody", "message": "missing field"}),
        "Refused", "BadJsonBody", notice=NoticeCode.CONVEX_REFUSED,
    ),
    Case(
        "401", status(401, {"code": "BadAdminKey", "message": "invalid"}),
        "Unauthorized", "CONVEX_DEPLOY_KEY", notice=NoticeCode.CONVEX_UNAUTHORIZED,
    ),
    Case("403", status(403), "Unauthorized", "CONVEX_DEPLOY_KEY", notice=NoticeCode.CONVEX_UNAUTHORIZED),
    Case("408", status(408), "Waiting", "HTTP 408", again=True),
    Case("429", status(429, {"code": "TooManyConcurrentRequests", "message": ""}), "Waiting", "limits our calls"),
    Case(
        "503 OCC", status(503, {"code": "OptimisticConcurrencyControlFailure", "message": ""}),
        "Waiting", "Other writes",
    ),
    Case("500", status(500, {"code": "InternalServerError", "message": "x"}), "Waiting", "broke off", again=True),
    Case("500 after commit", status(500) | {"execute": True}, "Waiting", "HTTP 500", again=True),
    Case("HTML from a proxy", status(502, HTML), "Waiting", "proxy", again=True),
    Case("HTML with 200", status(200, HTML), "Waiting", "not Convex", again=True),
    Case("dropped after commit", {"kind": "drop_after"}, "Waiting", "did not answer", again=True),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_error_leaves_the_row_behind_says_why_and_passes(convex: Convex, case: Case) -> None:
    box = sandbox(pushed=True)
    events = timeline(box)
    convex.faults.add(**case.fault, system="convex", body="updateStatus", times=1)
    change(box, status=Status.STOPPED)
    assert push(box)

    stuck = projected(box)
    assert stuck.is_behind
    assert stuck.attempt == 1
    assert stuck.due_at is not None
    assert stuck.due_at > clock.now()
    assert stuck.error.startswith(f"{case.label}: ")
    assert case.said in stuck.error
    assert (stuck.resend_at is not None) == case.again
    notices = set(Notice.objects.filter(closed_at=None).values_list("code", flat=True))
    assert notices == ({case.notice} if case.notice else set())
    # What passes by itself is no news for the timeline.
    assert timeline(box)[len(events) :] == ([] if case.label == "Waiting" else [stuck.error])

    clock.move(61)
    gateway.reset()  # its own pause after a refused key counts real seconds
    push_until_clean(box)
    assert convex.row(box)["status"] == "stopped"
    assert projected(box).error == ""
    assert not Notice.objects.filter(closed_at=None).exists()


def test_pauses_grow_and_end_at_the_longest(convex: Convex) -> None:
    box = sandbox(pushed=True)
    only_it = f"updateStatus.*{box.daytona_id}\\b"
    convex.faults.add("status", system="convex", body=only_it, status=200, answer={"status": "error"})
    change(box, status=Status.STOPPED)
    pauses = []
    for _ in range(9):
        push(box)
        due = projected(box).due_at
        assert due is not None
        pauses.append((due - clock.now()).total_seconds())
        clock.move(pauses[-1] + 0.1)
    assert pauses[0] < 1.1
    assert all(later > earlier for earlier, later in itertools.pairwise(pauses[:7]))
    assert 40 < pauses[-1] <= 60


def test_the_same_refusal_is_one_event_and_one_notice(convex: Convex) -> None:
    box = sandbox(pushed=True)
    before = len(timeline(box))
    answer = {"status": "error", "errorData": {"code": "nope", "message": "Not on a Sunday"}}
    convex.faults.add("status", system="convex", body="updateStatus", status=200, answer=answer)
    change(box, status=Status.STOPPED)
    for _ in range(4):
        push(box)
        clock.move(61)
    assert len(timeline(box)) == before + 1
    assert Notice.objects.get().count == 4


def test_the_key_appears_nowhere(convex: Convex) -> None:
    key = convex.emulator.convex_key
    box = sandbox(pushed=True)
    answer = {"status": "error", "errorData": {"code": "x", "message": f"the key was {key}"}}
    convex.faults.add("status", system="convex", body="updateStatus", status=200, answer=answer)
    change(box, status=Status.STOPPED)
    push(box)
    for words in [projected(box).error, *timeline(box), Notice.objects.get().message]:
        assert key not in words
        assert key.partition("|")[2] not in words


def test_a_paused_deployment_is_one_notice_and_rests_all_rows(convex: Convex) -> None:
    boxes = [sandbox(pushed=True) for _ in range(5)]
    convex.configure(state="paused")
    for box in boxes:
        change(box, status=Status.STOPPED)
        push(box)
    assert Notice.objects.get().code == NoticeCode.CONVEX_PAUSED
    assert Notice.objects.get().count == 1, "the others did not even try"
    before = convex.total()
    assert projection.due(10)[0] == []
    assert not push(boxes[1])
    assert convex.total() == before


def test_after_a_pause_one_row_tries_for_all(convex: Convex) -> None:
    boxes = [sandbox(pushed=True) for _ in range(5)]
    convex.configure(state="paused")
    for box in boxes:
        change(box, status=Status.STOPPED)
    push(boxes[0])
    convex.configure(state="running")
    clock.move(61)
    assert len(projection.due(10)[0]) == 1
    assert push(boxes[0])
    assert not is_open(NoticeCode.CONVEX_PAUSED)
    assert len(projection.due(10)[0]) == 4
    for box in boxes[1:]:
        push(box)
        assert convex.row(box)["status"] == "stopped"


def test_a_revoked_key_is_one_notice_and_rests_all_rows(convex: Convex) -> None:
    boxes = [sandbox(pushed=True) for _ in range(3)]
    convex.emulator.settings(convex_keys={convex.emulator.convex_key: {"revoked": True}})
    for box in boxes:
        change(box, status=Status.STOPPED)
        push(box)
    assert Notice.objects.get().code == NoticeCode.CONVEX_UNAUTHORIZED
    assert Notice.objects.get().count == 1


def test_convex_that_does_not_answer_is_left_alone_after_a_few_calls(convex: Convex) -> None:
    boxes = [sandbox(pushed=True) for _ in range(8)]
    fault = convex.faults.add("drop_before", system="convex", body="updateStatus")
    for box in boxes:
        change(box, status=Status.STOPPED)
        push(box)
    assert 3 <= convex.faults.hits(fault) < len(boxes)
    convex.faults.clear()
    clock.move(61)
    push_until_clean(*boxes)
    assert all(convex.row(box)["status"] == "stopped" for box in boxes)


def test_a_notice_about_one_row_stays_until_that_row_is_well(convex: Convex) -> None:
    bad, good = sandbox(pushed=True), sandbox(pushed=True)
    fault = convex.faults.add(
        "status", system="convex", body=f"updateStatus.*{bad.daytona_id}\\b", status=200, answer={"status": "error"}
    )
    change(bad, status=Status.STOPPED)
    push(bad)
    change(good, status=Status.STOPPED)
    push(good)
    assert is_open(NoticeCode.CONVEX_REFUSED)
    convex.faults.remove(fault)
    clock.move(61)
    push(bad)
    assert not is_open(NoticeCode.CONVEX_REFUSED)


def test_a_row_of_another_owner_is_reported_and_left_alone(any_convex: Convex) -> None:
    box = sandbox(owner="alice")
    any_convex.seed(box, userId="mallory", status="stopped")
    before = any_convex.row(box)
    push(box)
    assert any_convex.row(box) == before
    assert is_open(NoticeCode.CONVEX_FOREIGN_OWNER)
    assert projected(box).is_behind


def test_a_deleted_sandbox_does_not_take_another_owners_row_with_it(any_convex: Convex) -> None:
    box = sandbox(owner="alice")
    any_convex.seed(box, userId="mallory")
    before = any_convex.row(box)
    delete(box)
    push(box)
    assert any_convex.row(box) == before
