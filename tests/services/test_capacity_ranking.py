"""Among whom a victim is looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes.core.resources import Resource
from sandboxes.core.vocabulary import Actor, Source
from sandboxes.models import Sandbox
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.services import lifecycle, quota_search, victims
from tests.services.making_room import full, idle
from tests.support import rows
from tests.support.driving import reload, settle_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.support.emulator import Emulator

pytestmark = pytest.mark.usefixtures("no_attempt_waits")


def test_a_create_without_a_region_makes_room_where_it_will_run(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    """The process that was asked for it may not know the region; Daytona tells it only when it has made it."""
    settings.DAYTONA_TARGET = ""
    daytona.reset()
    only = running()
    idle(world, only)
    full(world, 1)
    operation = lifecycle.create("alice", actor=Actor.owner("alice"), source=Source.API, new=lifecycle.NewRequest())
    assert [quota_search.lease_name(one, Resource.COMPUTE) for one in (operation.sandbox, only)] == 2 * [
        "room:compute:us:container"
    ]
    settle_in(world, operation)
    assert (operation.status, reload(only.pk).status) == ("succeeded", "stopped")


def test_where_several_regions_are_in_use_none_is_guessed(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    settings.DAYTONA_TARGET = ""
    daytona.reset()
    only, far = running(), running()
    Sandbox.objects.filter(pk=far.pk).update(target="eu")
    idle(world, only, far)
    full(world, 2)
    operation = lifecycle.create("alice", actor=Actor.owner("alice"), source=Source.API, new=lifecycle.NewRequest())
    settle_in(world, operation)
    assert operation.code == "capacity_exhausted"
    assert [reload(one.pk).status for one in (only, far)] == ["running", "running"]


def test_one_whose_auto_delete_is_not_known_is_never_a_victim(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    only = running()
    idle(world, only)
    Sandbox.objects.filter(pk=only.pk).update(observed_auto_delete=None)
    (verdict,) = victims.rank_for(Sandbox(owner_id="alice", target="us"), Resource.COMPUTE)
    assert verdict.broken == ("survives_a_stop",)


@pytest.mark.parametrize("owner", ["alice", "bob"])
def test_a_ranking_reads_those_that_run_and_were_used_least_recently_by_both_clocks(
    world: Emulator, settings: Settings, monkeypatch: pytest.MonkeyPatch, owner: str
) -> None:
    settings.EVICTION_SCOPE = "organization"
    monkeypatch.setattr(victims, "LOOKED_AT", 2)
    for number in range(4):
        if number == 2:
            rows.sandbox("idle", of=owner, last_accessed_at=rows.ago(days=1), last_activity_at=rows.ago(days=1))
        rows.sandbox(f"rests {number}", of=owner, status="stopped", last_accessed_at=rows.ago(days=9))
        rows.sandbox("at work", of=owner, last_accessed_at=rows.ago(days=9), last_activity_at=rows.ago(minutes=3))
    first, second = victims.rank_for(Sandbox(owner=rows.owner("alice"), target="eu"), Resource.COMPUTE)
    assert (first.candidate.name, second.candidate.name) == ("idle", "at work")
