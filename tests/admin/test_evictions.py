"""What the admin shows of a search for room, made by the loop itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from sandboxes import clock
from sandboxes.core.vocabulary import Action, Actor, Source
from sandboxes.services import lifecycle
from sandboxes.services.lifecycle import NewRequest
from tests.admin.pages import listing, text_of
from tests.services.conftest import no_attempt_waits, running, world
from tests.services.making_room import idle
from tests.support.driving import ask, settle_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.test import Client
    from pytest_django import Settings

    from sandboxes.models import Sandbox
    from tests.support.emulator import Emulator

__all__ = ["no_attempt_waits", "running", "world"]


@pytest.mark.usefixtures("no_attempt_waits")
def test_the_quota_is_quoted_though_an_eviction_has_made_room(
    world: Emulator, running: Callable[..., Sandbox], admin: Client
) -> None:
    wanted, unused = running(name="wanted"), running(name="idle")
    settle_in(world, ask(wanted, Action.STOP))
    clock.move(3600)
    world.settings(quota={"cpu": 1, "memory": 500, "disk": 2000, "gpu": 0})
    start = ask(wanted, Action.START)
    settle_in(world, start)
    assert start.status == "succeeded"
    unused.refresh_from_db()
    assert unused.status == "stopped"
    words = text_of(admin.get(reverse("admin:index")))
    assert "Total CPU limit exceeded. Maximum allowed: 1." in words.split("The quota as last refused")[1]
    assert "wanted running, stopped by evictor" in listing(admin, q="idle")


@pytest.mark.usefixtures("no_attempt_waits")
def test_why_one_was_archived_or_would_be(
    world: Emulator, running: Callable[..., Sandbox], admin: Client, settings: Settings
) -> None:
    settings.EVICTION_DISK_SCOPE = "owner"
    old, new = running(name="old"), running(name="new")
    settle_in(world, ask(old, Action.STOP), ask(new, Action.STOP))
    idle(world, old, new)

    def why(sandbox: Sandbox) -> str:
        return text_of(admin.get(reverse("admin:sandboxes_sandbox_change", args=[sandbox.pk]))).split("Why?")[1]

    assert "this owner's quota of disk is full; the first that passes every rule is archived" in why(new)
    world.settings(quota={"cpu": 100, "memory": 500, "disk": 6, "gpu": 0})
    settle_in(world, lifecycle.create("alice", actor=Actor.owner("alice"), source=Source.API, new=NewRequest()))
    assert "Archived to make room" in why(old)
    assert "may be archived" in why(old)
