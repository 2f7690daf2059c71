"""A refused key or a paused deployment makes no storm of calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes.providers.convex.gateway import ConvexError, ConvexPaused, ConvexUnauthorized
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.providers.convex.conftest import Connect
    from tests.support.emulator import Emulator


def calls(emulator: Emulator) -> int:
    return sum(emulator.counts()["convex"].values())


def test_after_a_refused_key_no_call_leaves(emulator: Emulator, connect: Connect) -> None:
    gateway = connect(deploy_key="dev:test|wrong", unauthorized_pause=60.0)

    for _ in range(20):
        with pytest.raises(ConvexUnauthorized):
            gateway.owner_of("d1")

    assert calls(emulator) == 1


def test_after_a_pause_was_seen_no_call_leaves(emulator: Emulator, connect: Connect) -> None:
    emulator.settings(convex={"state": "paused"})
    gateway = connect(paused_pause=60.0)
    gateway.capabilities()

    for _ in range(20):
        with pytest.raises(ConvexPaused, match="paused"):
            gateway.update_status("d1", status="running")

    assert emulator.counts()["convex"] == {
        "query _system/cli/modules:apiSpec": 1,
        "query _system/frontend/deploymentState:deploymentState": 1,
        "mutation sandboxes:updateStatus": 1,
    }


def test_it_goes_on_when_the_deployment_is_resumed(emulator: Emulator, connect: Connect) -> None:
    emulator.settings(convex={"state": "paused"})
    gateway = connect(paused_pause=0.1)
    with pytest.raises(ConvexPaused):
        gateway.owner_of("d1")

    emulator.settings(convex={"state": "running"})

    def answered() -> bool:
        try:
            return gateway.owner_of("d1") is None
        except ConvexError:
            return False

    wait_until(answered)


def test_the_state_can_be_asked_for_meanwhile(emulator: Emulator, connect: Connect) -> None:
    emulator.settings(convex={"state": "disabled"})
    gateway = connect(paused_pause=60.0)
    with pytest.raises(ConvexPaused):
        gateway.owner_of("d1")

    assert gateway.deployment_state() == "disabled"
    # Its answer does not mean that functions run again.
    before = calls(emulator)
    with pytest.raises(ConvexPaused):
        gateway.owner_of("d1")
    assert calls(emulator) == before
