from __future__ import annotations

import pytest

from sandboxes.states import STATUS_OF_STATE, Actor, Intent, Seen, Status, is_met, status_of

DESIGN = {
    "running": "started snapshotting",
    "starting": "starting restoring resuming pulling_snapshot resizing",
    "creating": "creating pending_build building_snapshot forking unknown",
    "stopping": "stopping archiving pausing destroying",
    "stopped": "stopped paused",
    "archived": "archived",
    "error": "error build_failed",
    "gone": "destroyed",
}


def test_every_word_of_daytona_has_the_status_of_the_design() -> None:
    expected = {word: status for status, words in DESIGN.items() for word in words.split()}
    assert {word: status.value for word, status in STATUS_OF_STATE.items()} == expected


@pytest.mark.parametrize(
    ("seen", "action", "called", "last", "expected"),
    [
        (Seen("started", "started"), None, False, "stopped", "running"),
        (Seen("hibernating", ""), None, False, "stopped", "stopped"),  # a word nobody knows keeps the last
        (Seen("started", missing=True), "stop", True, "running", "gone"),
        (Seen("stopped", "stopped"), "start", False, "stopped", "stopped"),  # nothing asked of Daytona yet
        (Seen("stopped", "stopped"), "start", True, "stopped", "starting"),
        (Seen("started", "started"), "archive", True, "running", "stopping"),
        (Seen("started", "started"), "delete", True, "running", "stopping"),
        (Seen("started", "started"), "sync", True, "running", "running"),
        (None, "create", False, "creating", "creating"),
        (None, None, False, "creating", "creating"),
        (Seen("started", "destroyed"), None, False, "running", "stopping"),
        (Seen("destroyed", "destroyed"), None, False, "running", "gone"),
    ],
)
def test_the_status_people_see(
    seen: Seen | None, action: str | None, called: bool, last: str, expected: str
) -> None:
    assert status_of(seen=seen, action=action, called=called, last=last) == Status(expected)


@pytest.mark.parametrize(
    ("intent", "seen", "met"),
    [
        (Intent.RUNNING, Seen("started", "started"), True),
        (Intent.RUNNING, Seen("started", "stopped"), False),
        (Intent.STOPPED, Seen("archived", "archived"), True),
        (Intent.STOPPED, Seen("started", "started"), False),
        (Intent.ARCHIVED, Seen("archiving", "archived"), False),
        (Intent.DELETED, Seen("destroying", "destroyed"), False),
        (Intent.DELETED, Seen("started", missing=True), True),
        (Intent.RUNNING, Seen("started", missing=True), False),
        (Intent.DELETED, None, True),
        (Intent.RUNNING, None, False),
    ],
)
def test_when_an_intent_is_met(intent: Intent, seen: Seen | None, met: bool) -> None:
    assert is_met(intent=intent, seen=seen) is met


@pytest.mark.parametrize(
    ("actor", "sees_alice"),
    [
        (Actor.owner("alice"), True),
        (Actor.owner("bob"), False),
        (Actor.staff("admin"), True),
        (Actor.service("key", on_behalf_of="alice"), True),
        (Actor.service("key", on_behalf_of="bob"), False),
        (Actor.service("key", on_behalf_of=None), True),
        (Actor.system("evictor"), True),
    ],
)
def test_who_sees_whose_sandboxes(actor: Actor, sees_alice: bool) -> None:
    assert actor.may_see("alice") is sees_alice
