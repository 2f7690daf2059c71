from __future__ import annotations

import pytest
from pytest_django import Settings

from sandboxes import clock
from sandboxes.codes import Refused
from sandboxes.models import IdempotencyAnswer, Operation, Owner, Sandbox, SandboxEvent, Sweep
from sandboxes.services.prune import ERASED, erase_owner
from sandboxes.states import Status
from tests.support import rows

pytestmark = pytest.mark.django_db
ADA = 'user_"ada"'


def gone(**fields: object) -> Sandbox:
    return rows.sandbox("ada's", of=ADA, status=Status.GONE, **fields)


def test_an_owner_whose_sandboxes_are_all_gone_leaves_no_trace() -> None:
    theirs = gone()
    rows.event(theirs, operation=rows.operation(theirs))
    IdempotencyAnswer.objects.create(principal=f"owner:{ADA}", key="k", fingerprint="f", created_at=clock.now())
    Sweep.objects.create(owner=ADA, started_at=clock.now())
    others = rows.sandbox("others", of="bob")
    ranking = [
        {"owner": ADA, "name": "ada's", "broken": []},
        {"owner": "bob", "name": "others", "broken": ["idle"]},
    ]
    rows.event(others, SandboxEvent.Kind.EVICTION, data={"ranking": ranking})
    counts = erase_owner(ADA)
    assert counts == {
        "operations": 1, "events": 1, "sandboxes": 1, "idempotency": 1, "sweeps": 1, "owners": 1, "mentions": 1,
    }  # fmt: skip
    assert list(Owner.objects.values_list("pk", flat=True)) == ["bob"]
    assert (Sandbox.objects.get(), Operation.objects.count()) == (others, 0)
    (event,) = SandboxEvent.objects.all()
    assert event.data["ranking"] == [{"owner": ERASED, "name": ERASED, "broken": []}, ranking[1]]


def test_one_living_sandbox_refuses_it() -> None:
    gone()
    rows.sandbox("alive", of=ADA)
    with pytest.raises(Refused, match="1 of their sandboxes are not gone"):
        erase_owner(ADA)
    assert Sandbox.objects.count() == 2


def test_a_removal_that_convex_has_not_heard_of_refuses_it(settings: Settings) -> None:
    settings.CONVEX_URL = "http://127.0.0.1:9"
    gone(revision=3, convex_revision=2)
    with pytest.raises(Refused, match="not settled yet"):
        erase_owner(ADA)
    assert Owner.objects.filter(pk=ADA).exists()


def test_an_owner_that_does_not_exist_is_refused() -> None:
    with pytest.raises(Refused, match="no owner 'nobody'"):
        erase_owner("nobody")


def test_a_dry_run_counts_and_erases_nothing() -> None:
    gone()
    assert erase_owner(ADA, dry_run=True)["sandboxes"] == 1
    assert (Owner.objects.filter(pk=ADA).exists(), Sandbox.objects.count()) == (True, 1)
