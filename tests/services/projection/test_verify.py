"""`--verify-convex`: what happened to Convex's rows behind our back."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.codes import Code, NoticeCode, Refused
from sandboxes.core.vocabulary import Status
from sandboxes.models import CircuitBreaker, Notice, Owner, Sandbox
from sandboxes.services import notices
from sandboxes.services.convex_differences import DifferenceKind
from sandboxes.services.projection import circuit_breaker
from sandboxes.services.projection.push_result import REMOVED
from sandboxes.services.verify_convex import Verified, verify_all, verify_owner
from tests.services.projection.driving import (
    Convex,
    change,
    delete,
    is_clean,
    is_open,
    may_not_act,
    projected,
    push,
    push_until_clean,
    sandbox,
    timeline,
)
from tests.support import convex as wire

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["first", "second", "own"])
def telling(request: pytest.FixtureRequest, convex: Convex) -> Convex:
    """The deployments that tell a row's status."""
    own = request.param == "own"
    convex.configure(functions="second" if own else request.param, sandkeeper=own)
    return convex


def found(verified: Verified) -> dict[str, int]:
    assert verified.error == ""
    return {kind.value: count for kind, count in verified.counts.items()}


def later() -> None:
    """What was pushed in the same instant as a list was taken proves nothing."""
    clock.move(1)


def test_all_is_well(any_convex: Convex) -> None:
    boxes = [sandbox(owner=f"owner-{number % 2}", pushed=True) for number in range(4)]
    later()
    verified = verify_all()
    assert is_clean(verified)
    assert verified.checked == len(boxes)


def test_a_row_that_its_user_removed_is_said_once_and_left(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    any_convex.forget(box)
    later()
    assert found(verify_all()) == {"vanished": 1}
    push_until_clean(box)
    assert any_convex.rows(box) == []
    assert timeline(box)[-1] == f"Convex: {REMOVED}"
    later()
    assert found(verify_all()) == {}
    assert timeline(box).count(f"Convex: {REMOVED}") == 1


def test_a_row_that_convex_never_had_is_created(any_convex: Convex) -> None:
    box = sandbox(projection={"pushed_generation": 1, "due_at": None})
    assert found(verify_all()) == {"vanished": 1}
    push_until_clean(box)
    assert any_convex.row(box)["status"] == "running"


def test_a_stale_row_is_sent_again(telling: Convex) -> None:
    box = sandbox(pushed=True)
    changed = wire.call(
        telling.emulator, "sandboxes:updateStatus", daytonaSandboxId=box.daytona_id, status="stopped"
    )
    wire.value_of(changed)
    later()
    assert found(verify_all()) == {"stale": 1}
    push_until_clean(box)
    assert telling.row(box)["status"] == "running"


def test_a_row_of_a_deleted_sandbox_is_removed(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    delete(box)
    push(box)
    any_convex.seed(box)
    later()
    assert found(verify_all()) == {"left_over": 1}
    push_until_clean(box)
    assert any_convex.rows(box) == []


@pytest.mark.parametrize("functions", ["first", "main"])
def test_a_foreign_owner_is_reported(convex: Convex, functions: str) -> None:
    convex.configure(functions=functions)
    _foreign_owner(convex)


def test_a_foreign_owner_is_reported_by_our_own_list(convex: Convex) -> None:
    convex.configure(sandkeeper=True)
    _foreign_owner(convex)


def _foreign_owner(convex: Convex) -> None:
    box = sandbox(pushed=True)
    convex.forget(box)
    convex.seed(box, userId="mallory", status="running")
    later()
    assert found(verify_all()) == {"foreign_owner": 1}
    assert is_open(NoticeCode.CONVEX_FOREIGN_OWNER)
    assert convex.row(box)["userId"] == "mallory"


def test_a_foreign_owner_whom_the_list_hides_is_found_by_the_push(convex: Convex) -> None:
    box = sandbox(pushed=True)
    convex.forget(box)
    convex.seed(box, userId="mallory")
    later()
    assert found(verify_all()) == {"foreign_owner": 1}
    push(box)
    assert convex.row(box)["userId"] == "mallory"
    assert is_open(NoticeCode.CONVEX_FOREIGN_OWNER)


def test_a_row_written_twice_is_reported(convex: Convex) -> None:
    box = sandbox(pushed=True)
    convex.seed(box)
    later()
    assert found(verify_all()) == {"duplicate": 1}
    assert not projected(box).is_behind, "removing one of them would unlink its harness"


def test_a_row_written_twice_becomes_one_by_our_own_functions(convex: Convex) -> None:
    convex.configure(sandkeeper=True)
    box = sandbox(pushed=True)
    convex.seed(box, status="stopped")
    later()
    assert found(verify_all()) == {"duplicate": 1}
    push_until_clean(box)
    assert convex.row(box)["status"] == "running"


@pytest.mark.parametrize("own", [False, True])
def test_a_row_that_we_do_not_know_is_reported_and_left_alone(convex: Convex, own: bool) -> None:
    convex.configure(sandkeeper=own)
    sandbox(owner="alice", pushed=True)
    wire.seed(convex.emulator, sandboxes=[wire.sandbox_row("nobody-knows", userId="alice")])
    later()
    assert found(verify_all()) == {"unknown": 1}
    assert len(wire.rows(convex.emulator, "nobody-knows")) == 1


def test_names_and_messages_are_compared_by_our_own_list(convex: Convex) -> None:
    convex.configure(sandkeeper=True)
    box = sandbox(name="right", pushed=True)
    convex.forget(box)
    convex.seed(box, name="wrong", status="running", errorMessage="old")
    later()
    verified = verify_all()
    assert verified.findings[0].kind == DifferenceKind.RENAMED
    assert "another name (“wrong”)" in verified.findings[0].detail
    assert not projected(box).is_behind, "whoever wrote that there may have meant it"
    change(box, status=Status.ERROR, error_reason="disk broke")
    push(box)
    assert (convex.row(box)["name"], convex.row(box)["errorMessage"]) == ("wrong", "disk broke")


def test_a_sandbox_with_a_push_due_is_not_judged(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    change(box, status=Status.STOPPED)
    later()
    verified = verify_all()
    assert is_clean(verified)
    assert verified.checked == 0


def test_without_repair_nothing_is_written(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    any_convex.forget(box)
    later()
    before = Sandbox.objects.filter(pk=box.pk).values().get()
    assert found(verify_all(repair=False)) == {"vanished": 1}
    assert Sandbox.objects.filter(pk=box.pk).values().get() == before


def test_one_owner_can_be_verified_alone(any_convex: Convex) -> None:
    alices, bobs = sandbox(owner="alice", pushed=True), sandbox(owner="bob", pushed=True)
    any_convex.forget(alices)
    any_convex.forget(bobs)
    later()
    assert found(verify_owner("alice")) == {"vanished": 1}
    assert projected(alices).is_behind
    assert not projected(bobs).is_behind


def test_our_own_functions_take_a_call_for_two_hundred_rows(convex: Convex) -> None:
    convex.configure(sandkeeper=True)
    rows = [wire.sandbox_row(f"seeded-{number}", userId="alice") for number in range(401)]
    wire.seed(convex.emulator, sandboxes=rows)
    assert found(verify_all()) == {"unknown": 401}
    assert convex.calls()["query sandkeeper:list"] == 3


def test_where_functions_are_listed_by_owner_it_takes_one_call_each(convex: Convex) -> None:
    for number in range(6):
        sandbox(owner=f"owner-{number % 3}", pushed=True)
    later()
    before = Counter(convex.calls())
    beats: list[None] = []
    verify_all(beat=lambda: beats.append(None))
    assert Counter(convex.calls()) - before == {"query sandboxes:list": 3}
    assert len(beats) == 3


def test_a_row_of_an_owner_without_sandboxes_is_found(convex: Convex) -> None:
    Owner.objects.create(pk="alice")
    wire.seed(convex.emulator, sandboxes=[wire.sandbox_row("nobody-knows", userId="alice")])
    assert found(verify_all()) == {"unknown": 1}


def test_what_is_rightly_absent_costs_no_call(convex: Convex) -> None:
    convex.configure(sandkeeper=True)
    for _ in range(3):
        box = sandbox(pushed=True)
        delete(box)
        push(box)
    later()
    before = Counter(convex.calls())
    assert is_clean(verify_all())
    assert Counter(convex.calls()) - before == {"query sandkeeper:list": 1}


def test_it_beats_for_each_sandbox_that_it_asks_for_and_can_be_ended_there(convex: Convex) -> None:
    convex.configure(functions="main")
    for _ in range(3):
        sandbox(pushed=True)
    may_not_act(convex)
    later()
    beats: list[int] = []

    def beat() -> None:
        beats.append(convex.calls().get("query sandboxes:getOwnerByDaytonaId", 0))
        if len(beats) == 4:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        verify_all(beat=beat)
    assert beats[-1] - beats[0] == 2, "one for the owner, and one before each sandbox"


def test_twins_on_two_pages_become_one(convex: Convex) -> None:
    convex.configure(sandkeeper=True)
    box = sandbox(pushed=True)
    strangers = [wire.sandbox_row(f"seeded-{number}", userId="bob") for number in range(200)]
    wire.seed(convex.emulator, sandboxes=strangers)
    convex.seed(box, status="running")
    later()
    verified = verify_all()
    assert found(verified) == {"unknown": 200, "duplicate": 1}
    assert verified.checked == 1
    push_until_clean(box)
    assert len(convex.rows(box)) == 1


@pytest.mark.parametrize("functions", ["first", "second", "main"])
def test_one_owner_is_compared_by_our_own_list(convex: Convex, functions: str) -> None:
    convex.configure(functions=functions, sandkeeper=True)
    box, bobs = sandbox(owner="alice", name="right", pushed=True), sandbox(owner="bob", pushed=True)
    convex.forget(box)
    convex.forget(bobs)
    convex.seed(box, name="wrong", status="running")
    wire.seed(convex.emulator, sandboxes=[wire.sandbox_row("nobody-knows", userId="carol")])
    later()
    assert found(verify_owner("alice")) == {"renamed": 1}
    assert not projected(bobs).is_behind


def test_our_own_functions_are_all_it_takes_to_compare_one_owner(convex: Convex) -> None:
    """The application's own may be gone by then (docs/cutting-over.md)."""
    convex.configure(sandkeeper=True)
    wire.only_our_own(convex.emulator)
    box, lost = sandbox(owner="alice", pushed=True), sandbox(owner="alice", pushed=True)
    convex.forget(lost)
    later()
    assert found(verify_owner("alice")) == {"vanished": 1}
    assert not projected(box).is_behind
    assert found(verify_all()) == {}


def test_a_foreign_row_that_was_corrected_closes_its_notice(convex: Convex) -> None:
    convex.configure(sandkeeper=True)
    box, other = _with_foreign_row(convex)
    assert found(verify_all()) == {"foreign_owner": 1}
    push(box)
    assert found(verify_all()) == {"foreign_owner": 1}, "said for as long as it is so"
    convex.forget(other)
    later()
    verify_all()
    push_until_clean(other)
    assert is_open(NoticeCode.CONVEX_FOREIGN_OWNER), "another row's recovery is not this one's"
    convex.forget(box)
    convex.seed(box)
    push_until_clean(box)
    assert not is_open(NoticeCode.CONVEX_FOREIGN_OWNER)
    assert convex.row(box)["status"] == "running"


def _with_foreign_row(convex: Convex) -> tuple[Sandbox, Sandbox]:
    box, other = sandbox(pushed=True), sandbox(pushed=True)
    convex.forget(box)
    convex.seed(box, userId="mallory", status="running")
    later()
    return box, other


def test_a_complete_verification_closes_what_it_disproves(any_convex: Convex) -> None:
    sandbox(pushed=True)
    later()
    any_convex.configure(state="paused")
    assert verify_all().error
    notices.tell(NoticeCode.CONVEX_FOREIGN_OWNER, "of a row that is no more")
    assert is_open(NoticeCode.CONVEX_PAUSED)
    any_convex.configure(state="running")
    assert is_clean(verify_all())
    assert not is_open(NoticeCode.CONVEX_PAUSED)
    assert not is_open(NoticeCode.CONVEX_FOREIGN_OWNER)
    assert circuit_breaker.read().open_until is None


def test_a_key_that_was_refused_and_may_write_again_closes_its_notice(
    any_convex: Convex, settings: Settings
) -> None:
    sandbox(pushed=True)
    later()
    settings.CONVEX_DEPLOY_KEY = "dev:test|wrong"
    any_convex.configure()
    assert verify_all().error
    assert is_open(NoticeCode.CONVEX_UNAUTHORIZED)
    settings.CONVEX_DEPLOY_KEY = any_convex.emulator.convex_key
    any_convex.configure()
    assert is_clean(verify_all())
    assert not is_open(NoticeCode.CONVEX_UNAUTHORIZED)


@pytest.mark.parametrize("state", ["running", "paused"])
def test_looking_tells_nobody_and_lets_nobody_rest(convex: Convex, state: str) -> None:
    convex.configure(sandkeeper=True)
    box, _ = _with_foreign_row(convex)
    convex.configure(state=state)
    before = list(CircuitBreaker.objects.values())
    verify_all(repair=False)
    assert list(CircuitBreaker.objects.values()) == before
    assert not Notice.objects.exists()
    assert not projected(box).is_behind


def test_convex_failing_ends_it_early_and_says_why(convex: Convex) -> None:
    sandbox(pushed=True)
    later()
    convex.configure(state="paused")
    verified = verify_all()
    assert verified.error.startswith("Paused: ")
    assert not verified.counts
    assert is_open(NoticeCode.CONVEX_PAUSED)


def test_without_convex_it_says_so(convex: Convex, settings: Settings) -> None:
    settings.CONVEX_URL = ""
    with pytest.raises(Refused) as refused:
        verify_all()
    assert refused.value.code == Code.NOT_CONFIGURED
