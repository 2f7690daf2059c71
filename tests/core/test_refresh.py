"""What is true of a sandbox, by what is known: its status, whether the intent is met, and the next look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.core.draft import Draft
from sandboxes.core.observation import doubt_against_intent, refresh_status
from sandboxes.core.vocabulary import CallOutcome
from tests.core.building import LIMITS, NOW, OTHER, at, call, operation, sandbox

if TYPE_CHECKING:
    from datetime import datetime

    from sandboxes.core.facts import CallFacts, SandboxFacts

UNKNOWN = CallOutcome.UNKNOWN


def draft(row: SandboxFacts, *calls: CallFacts, **fields: Any) -> Draft:
    return Draft(row, now=NOW, limits=LIMITS, calls=calls, **fields)


@pytest.mark.parametrize(
    ("row", "calls", "active", "status"),
    [
        (sandbox("stopped"), (), None, "stopped"),
        (sandbox("started", deleted_at=NOW), (call("start"),), None, "gone"),
        (sandbox("started"), (), "stop", "running"),  # nothing was asked of Daytona yet
        (sandbox("started"), (call("stop"),), "stop", "stopping"),
        (sandbox("stopped", observed_at=NOW), (call("stop"),), "stop", "stopping"),
        (sandbox("started"), (call("stop", operation_id=OTHER),), "start", "stopping"),  # an earlier one's call
        (sandbox("started"), (call("stop", operation_id=OTHER),), None, "stopping"),
        (sandbox("started"), (), "sync", "running"),
        (sandbox("started"), (), "restart", "running"),
        (sandbox("stopped"), (call("stop", effect_seen_at=NOW),), "restart", "stopping"),
        (sandbox("stopped"), (call("stop", effect_seen_at=NOW), call("start")), "restart", "starting"),
        (sandbox("", daytona_id=None, observed_at=None, status="creating"), (), "delete", "stopping"),
        (sandbox("", daytona_id=None, observed_at=None, status="creating"), (), None, "creating"),
        (sandbox("hibernating", status="stopped"), (), None, "stopped"),
    ],
)
def test_the_status_that_is_shown(
    row: SandboxFacts, calls: tuple[CallFacts, ...], active: str | None, status: str
) -> None:
    made = draft(row, *calls, operation=operation(active) if active else None)
    refresh_status(made)
    assert made.sandbox.status == status
    assert made.sandbox.status_changed_at == (row.status_changed_at if row.status == status else NOW)


@pytest.mark.parametrize(
    ("row", "calls", "met"),
    [
        (sandbox("started", intent_met_at=None), (), NOW),
        (sandbox("stopped", intent_met_at=None), (), None),
        (sandbox("started"), (), at(-3000)),  # it was met before
        (sandbox("started", intent_met_at=None, intent_at=at(-59)), (), None),  # the look is from before the wish
        (sandbox("started", intent_met_at=None, intent_at=at(-60)), (), NOW),
        (sandbox("started", intent_met_at=None, intent_at=None), (), NOW),
        (sandbox("started", intent="deleted", intent_met_at=None, intent_at=NOW, deleted_at=NOW), (), NOW),
        (sandbox("started", intent_met_at=None), (call("stop", -9, UNKNOWN),), None),  # it may be undone
        (sandbox("started", intent_met_at=None), (call("start", -9, UNKNOWN),), NOW),
        (sandbox("started", intent_met_at=None), (call("stop"),), None),  # it is accepted, and to be seen
        (sandbox("started", intent_met_at=None), (call("start"),), NOW),
    ],
)
def test_when_the_intent_is_met(row: SandboxFacts, calls: tuple[CallFacts, ...], met: datetime | None) -> None:
    made = draft(row, *calls)
    refresh_status(made)
    assert made.sandbox.intent_met_at == met


def test_the_last_doubt_against_the_intent_counts() -> None:
    calls = (call("stop", -9, UNKNOWN), call("delete", -19, UNKNOWN), call("start", -1, UNKNOWN), call("stop"))
    assert doubt_against_intent(sandbox(), calls) == at(291)
    assert doubt_against_intent(sandbox(), calls[2:]) is None


CREATE_IN_DOUBT = (call("create", -9, UNKNOWN),)
UNMET: dict[str, Any] = {"intent": "stopped", "intent_met_at": None}


@pytest.mark.parametrize(
    ("row", "calls", "active", "due"),
    [
        (sandbox(), (), None, None),
        (sandbox(), (), "stop", None),
        (sandbox("stopping", intent="stopped"), (), None, at(5)),
        (sandbox("stopping", status="stopping", status_changed_at=at(-40)), (), None, at(20)),
        (sandbox(**UNMET, intent_at=at(-100)), (), None, at(50)),
        (sandbox(**UNMET, intent_at=None, created_at=at(-100)), (), None, at(50)),
        (sandbox(**UNMET, intent_at=at(-9000)), (), None, at(600)),
        (sandbox(**UNMET, intent_at=at(-2)), (), None, at(5)),
        (sandbox(**UNMET, intent_at=at(-1500)), (call("start", -200, UNKNOWN),), None, at(100)),
        (sandbox(**UNMET, intent_at=at(-1500)), (call("start", -299, UNKNOWN),), None, at(5)),
        (sandbox(missing_since=at(-20)), (), None, at(40)),
        (sandbox(missing_since=at(-58)), (), None, at(5)),
        (sandbox(missing_since=at(-20), deleted_at=NOW), (), None, None),
        (sandbox(deleted_at=NOW, **UNMET), (), None, None),
        (sandbox(deleted_at=NOW, intent="deleted", intent_met_at=None, intent_at=at(-9000)), CREATE_IN_DOUBT, None,
         at(291)),
        (sandbox(pending_changes={"auto_stop": {"value": 5, "due_at": at(7).isoformat()}}), (), None, at(7)),
        (sandbox(pending_changes={"auto_stop": {"value": 5}}, deleted_at=NOW), (), None, None),
        (sandbox(missing_since=at(-20), pending_changes={"auto_stop": {"value": 5}}), (), None, NOW),
    ],
)  # fmt: skip
def test_when_the_next_look_is_due(
    row: SandboxFacts, calls: tuple[CallFacts, ...], active: str | None, due: datetime | None
) -> None:
    made = draft(row, *calls, operation=operation(active) if active else None)
    refresh_status(made)
    assert made.sandbox.fetch_due_at == due
