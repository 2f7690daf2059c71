from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

import pytest
from django.core.management import call_command

from sandboxes.core.codes import NoticeCode
from sandboxes.core.vocabulary import Action, Actor, OperationStatus, Source, Status
from sandboxes.demo.plan import planned
from sandboxes.models import Job, Notice, Operation, Orphan, Owner, Sandbox
from sandboxes.services import lifecycle
from tests.admin import members
from tests.services.conftest import world

if TYPE_CHECKING:
    from pytest_django import Settings

    from tests.support.emulator import Emulator

__all__ = ["world"]


def load() -> str:
    said = StringIO()
    call_command("load_demo", stdout=said)
    return said.getvalue().strip()


@pytest.mark.django_db(transaction=True)
def test_an_interrupted_load_is_carried_on_and_shows_what_there_is(world: Emulator, settings: Settings) -> None:
    settings.DEBUG, settings.ATTEMPT_SECONDS = True, 0.2
    settings.CONVEX_URL, settings.CONVEX_DEPLOY_KEY = world.convex_url, world.convex_key
    members.root()
    archived = next(one for one in planned() if one.ending.actions == (Action.STOP, Action.ARCHIVE))
    lifecycle.create(
        archived.owner, actor=Actor.owner(archived.owner), source=Source.API,
        new=lifecycle.NewRequest(name=archived.name),
    )  # fmt: skip
    assert load() == "Made 59 demo sandboxes."
    assert Sandbox.objects.get(owner=archived.owner, name=archived.name).status == Status.ARCHIVED
    assert Owner.objects.filter(hold_since__isnull=False).count() == 1
    assert Operation.objects.get(status=OperationStatus.FAILED).code == "daytona_rejected"
    assert Sandbox.objects.filter(status=Status.ERROR, recoverable=True).exists()
    assert set(Orphan.objects.values_list("owner", flat=True)) == {"user_alan", ""}
    assert Notice.objects.get(closed_at=None).code == NoticeCode.ORPHANS
    assert Job.objects.get().items.counts()["succeeded"] == Job.objects.get().total > 3
    operations = Operation.objects.exclude(action=Action.SYNC).count()
    assert load() == "The demo data is there."
    assert Operation.objects.exclude(action=Action.SYNC).count() == operations
