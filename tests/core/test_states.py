from __future__ import annotations

import pytest

from sandboxes.core.states import (
    COMPUTE_STATES,
    DISK_STATES,
    ERROR_STATES,
    RUNNING_STATES,
    STABLE_STATES,
    STATES,
    Seen,
    is_met,
    status_of,
)
from sandboxes.core.vocabulary import Actor, Intent, Status

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
    assert {word: state.status.value for word, state in STATES.items()} == expected


CREATING = "creating pending_build building_snapshot forking unknown"
STARTING = "starting restoring resuming pulling_snapshot resizing"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (STABLE_STATES, "started stopped paused archived"),
        (ERROR_STATES, "error build_failed"),
        (RUNNING_STATES, "started snapshotting"),
        # sandbox-states-consuming-compute of the API server
        (COMPUTE_STATES, f"started starting restoring resuming pulling_snapshot {CREATING} stopping pausing"),
        # and what keeps its disk while it uses no compute
        (DISK_STATES, f"started {STARTING} {CREATING} stopping pausing snapshotting archiving stopped paused"),
    ],
)
def test_the_sets_of_states(found: frozenset[str], words: str) -> None:
    assert found == frozenset(words.split())


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (Seen("started", "started"), False),
        (Seen("started", ""), False),
        (Seen("started", "stopped"), True),
        (Seen("stopping", "started"), False),
        (Seen("archiving", "archived"), False),
        (Seen("archiving", ""), False),
        (Seen("archiving", "started"), True),
    ],
)
def test_whether_daytona_has_accepted_a_request_that_it_has_not_begun(seen: Seen, expected: bool) -> None:
    assert seen.is_on_its_way is expected


@pytest.mark.parametrize(
    ("seen", "last", "expected"),
    [
        (Seen("started", "started"), "stopped", "running"),
        (Seen("hibernating", ""), "stopped", "stopped"),  # a word nobody knows keeps the last
        (Seen("started", missing=True), "running", "gone"),
        (Seen("stopped", "stopped"), "stopped", "stopped"),
        (Seen("started", "destroyed"), "running", "stopping"),
        (Seen("destroyed", "destroyed"), "running", "gone"),
        (Seen("error", "destroyed"), "running", "error"),
        # a request that Daytona has accepted and not begun: a restore that waits for a host is one
        (Seen("archived", "started"), "archived", "starting"),
        (Seen("stopped", "started"), "stopped", "starting"),
        (Seen("archiving", "started"), "stopping", "starting"),
        (Seen("started", "stopped"), "running", "stopping"),
        # what an auto-archive leaves for long, and a start calls back
        (Seen("stopped", "archived"), "stopped", "stopped"),
    ],
)
def test_the_status_that_an_observation_shows(seen: Seen, last: str, expected: str) -> None:
    assert status_of(seen, last=last) == Status(expected)


@pytest.mark.parametrize(
    ("intent", "seen", "met"),
    [
        (Intent.RUNNING, Seen("started", "started"), True),
        (Intent.RUNNING, Seen("started", "stopped"), False),
        (Intent.STOPPED, Seen("archived", "archived"), True),
        (Intent.STOPPED, Seen("started", "started"), False),
        (Intent.ARCHIVED, Seen("archiving", "archived"), False),
        (Intent.STOPPED, Seen("archiving", "archived"), True),
        (Intent.STOPPED, Seen("archiving", "started"), False),  # a start has called it back
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


def test_what_is_not_said_of_an_observation_is_not_so() -> None:
    assert Seen("error") == Seen("error", "", recoverable=False, missing=False)
