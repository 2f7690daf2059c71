from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sandboxes import clock
from sandboxes.core.codes import NoticeCode, Refused
from sandboxes.core.vocabulary import EventKind, Status
from sandboxes.models import (
    ConvexProjection,
    IdempotencyAnswer,
    Notice,
    Operation,
    Owner,
    Policy,
    Sandbox,
    SandboxEvent,
    Sweep,
    UsageHour,
)
from sandboxes.services import audit, notices
from sandboxes.services.erasure import ERASED, erase_owner
from tests.support import rows

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db
ADA = 'user_"ada"'


def gone(**fields: Any) -> Sandbox:
    return rows.sandbox("ada's", of=ADA, status=Status.GONE, **fields)


def test_an_owner_whose_sandboxes_are_all_gone_leaves_no_trace() -> None:
    theirs = gone()
    rows.event(theirs, operation=rows.operation(theirs))
    IdempotencyAnswer.objects.create(principal=f"owner:{ADA}", key="k", fingerprint="f", created_at=clock.now())
    Sweep.objects.create(owner=ADA, started_at=clock.now())
    for scope, subject in (("owner", ADA), ("sandbox", str(theirs.pk)), ("owner", "bob")):
        Policy.objects.create(scope=scope, subject=subject, changed_at=clock.now())
    UsageHour.objects.create(owner=ADA, hour=clock.now(), measure="starts", value=1, rolled_up_at=clock.now())
    others = rows.sandbox("others", of="bob")
    ranking = [
        {"owner": ADA, "name": "ada's", "broken": []},
        {"owner": "bob", "name": "others", "broken": ["idle"]},
    ]
    rows.event(others, EventKind.EVICTION, data={"ranking": ranking})
    counts = erase_owner(ADA, actor=audit.COMMAND)
    assert counts == {
        "operations": 1, "events": 1, "sandboxes": 1, "idempotency": 1, "sweeps": 1, "owners": 1, "mentions": 1,
        "policies": 2,
        "usage": 1, "job_items": 0, "orphans": 0,
    }  # fmt: skip
    assert list(Owner.objects.values_list("pk", flat=True)) == ["bob"]
    assert (Sandbox.objects.get(), Operation.objects.count()) == (others, 0)
    event = SandboxEvent.objects.get(sandbox=others)
    erased = SandboxEvent.objects.get(sandbox=None)
    assert (erased.kind, erased.owner, list(erased.data)) == ("erased", "", ["sandbox"])
    assert event.data["ranking"] == [{"owner": ERASED, "name": ERASED, "broken": []}, ranking[1]]


def test_one_living_sandbox_refuses_it() -> None:
    gone()
    rows.sandbox("alive", of=ADA)
    with pytest.raises(Refused, match="1 of their sandboxes are not gone"):
        erase_owner(ADA, actor=audit.COMMAND)
    assert Sandbox.objects.count() == 2


def test_a_removal_that_convex_has_not_heard_of_refuses_it(settings: Settings) -> None:
    settings.CONVEX_URL = "http://127.0.0.1:9"
    gone(projection={"wanted_generation": 3, "pushed_generation": 2})
    with pytest.raises(Refused, match="not settled yet"):
        erase_owner(ADA, actor=audit.COMMAND)
    assert Owner.objects.filter(pk=ADA).exists()


def test_what_convex_still_shows_is_taken_off_its_list_before(settings: Settings) -> None:
    settings.CONVEX_URL = "http://127.0.0.1:9"
    row = gone(intent="running")
    with pytest.raises(Refused, match="not settled yet"):
        erase_owner(ADA, actor=audit.COMMAND, dry_run=True)
    assert not ConvexProjection.objects.behind().exists()
    with pytest.raises(Refused, match="not settled yet"):
        erase_owner(ADA, actor=audit.COMMAND)
    assert ConvexProjection.objects.behind().exists()
    rows.level(row, known=False)
    assert erase_owner(ADA, actor=audit.COMMAND)["sandboxes"] == 1


@pytest.mark.parametrize("name", ["zoë", 'quo"te', "back\\slash", "日本"])
def test_any_spelling_of_an_owner_is_found_in_rankings(name: str) -> None:
    rows.owner(name)
    rows.event(rows.sandbox(of="bob"), EventKind.EVICTION, data={"ranking": [{"owner": name}]})
    assert erase_owner(name, actor=audit.COMMAND)["mentions"] == 1
    assert SandboxEvent.objects.get().data["ranking"][0]["owner"] == ERASED


def test_answers_that_programs_were_given_for_them_go() -> None:
    theirs, others = gone(), rows.sandbox(of="bob")
    for number, body in enumerate((f'{{"sandbox":"{theirs.pk}"}}', f'{{"owner":{json.dumps(ADA)}}}')):
        answer("service:1", f"theirs {number}", body)
    kept = answer("service:1", "others", f'{{"sandbox":"{others.pk}"}}')
    assert erase_owner(ADA, actor=audit.COMMAND)["idempotency"] == 2
    assert IdempotencyAnswer.objects.get() == kept


def answer(principal: str, key: str, body: str) -> IdempotencyAnswer:
    return IdempotencyAnswer.objects.create(
        principal=principal, key=key, fingerprint="f", created_at=clock.now(), status=202, body=body
    )


def test_notices_name_them_no_more() -> None:
    theirs = gone()
    notices.tell(NoticeCode.CONVEX_FOREIGN_OWNER, f"Convex's row of x belongs to 'm', not to {ADA!r}.")
    notices.tell(NoticeCode.DELETE_STUCK, f"Daytona has not finished deleting {theirs.daytona_id}.")
    notices.tell(NoticeCode.ORPHANS, "Daytona has 3 sandboxes with an owner that have no row here.")
    assert erase_owner(ADA, actor=audit.COMMAND)["mentions"] == 2
    assert Notice.objects.filter(message=ERASED).count() == 2


def test_an_owner_that_does_not_exist_is_refused() -> None:
    with pytest.raises(Refused, match="no owner 'nobody'"):
        erase_owner("nobody", actor=audit.COMMAND)


def test_a_dry_run_counts_and_erases_nothing() -> None:
    gone()
    assert erase_owner(ADA, actor=audit.COMMAND, dry_run=True)["sandboxes"] == 1
    assert (Owner.objects.filter(pk=ADA).exists(), Sandbox.objects.count()) == (True, 1)
