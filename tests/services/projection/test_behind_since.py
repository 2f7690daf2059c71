"""How long Convex has been behind: what metrics, doctor and admin show."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from sandboxes import clock
from sandboxes.core.vocabulary import Actor, Status
from sandboxes.services import lifecycle, projection
from sandboxes.services.verify_convex import verify_all
from tests.services.projection.driving import Convex, change, projected, push, push_until_clean, sandbox

pytestmark = pytest.mark.django_db(transaction=True)
ALICE = Actor.owner("alice")


def almost(moment: datetime | None) -> datetime:
    assert moment is not None
    return moment.replace(microsecond=0)


def test_a_rename_of_a_sandbox_that_has_run_for_days_is_young(convex: Convex) -> None:
    box = sandbox(pushed=True, status_changed_at=clock.now() - timedelta(days=3))
    assert projected(box).behind_since is None
    lifecycle.rename(box.pk, "new", actor=ALICE)
    since = projected(box).behind_since
    assert since is not None
    assert clock.now() - since < timedelta(hours=1)
    push_until_clean(box)
    assert projected(box).behind_since is None


def test_a_row_that_keeps_changing_is_as_old_as_its_first_change(convex: Convex) -> None:
    box = sandbox(pushed=True)
    change(box, status=Status.STOPPED, status_changed_at=clock.now())
    first = projected(box).behind_since
    convex.configure(state="paused")
    push(box)
    clock.move(3600)
    change(box, status=Status.RUNNING, status_changed_at=clock.now())
    assert first is not None
    assert projected(box).behind_since == first


def test_a_push_requested_again_begins_anew(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    projection.push_again(box.pk, actor=ALICE)
    assert projected(box).behind_since is not None
    push_until_clean(box)
    assert projected(box).behind_since is None


def test_what_a_verification_finds_counts_from_then(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    any_convex.forget(box)
    clock.move(1)
    before = clock.now()
    verify_all()
    assert almost(projected(box).behind_since) >= almost(before)


def test_a_sandbox_that_daytona_has_no_id_for_is_behind_nothing(convex: Convex) -> None:
    box = sandbox(daytona_id=None)
    change(box, name="new")
    assert projected(box).behind_since is None
    change(box, daytona_id="now-it-has-one")
    assert projected(box).behind_since is not None
