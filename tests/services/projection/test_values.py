from __future__ import annotations

from typing import Any

import pytest

from sandboxes.core.shown import GONE_WORDS, MESSAGE_LIMIT, Shown, shown_of, wanted
from sandboxes.core.vocabulary import Intent, Status
from sandboxes.models import ConvexProjection, Sandbox


def row(**fields: Any) -> Sandbox:
    return Sandbox(**{"name": "box", "daytona_id": "d"} | fields)


@pytest.mark.parametrize("status", [status for status in Status if status != Status.GONE])
def test_every_status_that_convex_knows_is_shown_as_it_is(status: Status) -> None:
    assert shown_of(row(status=status)) == Shown(status, "", "box")


def test_the_reason_of_an_error_is_shown() -> None:
    assert shown_of(row(status=Status.ERROR, error_reason="disk broke")) == Shown("error", "disk broke", "box")


def test_the_reason_of_an_error_that_is_over_is_not_shown() -> None:
    assert shown_of(row(status=Status.RUNNING, error_reason="disk broke")) == Shown("running", "", "box")


def test_a_long_reason_is_cut() -> None:
    shown = shown_of(row(status=Status.ERROR, error_reason="x" * 5000))
    assert shown is not None
    assert len(shown.error) == MESSAGE_LIMIT


@pytest.mark.parametrize(
    "fields",
    [
        {"intent": Intent.DELETED},
        {"ephemeral": True},
        {"auto_delete_minutes": 0},
        {"auto_delete_minutes": -1, "observed_auto_delete": 0},
        {"observed_auto_delete": 60},
        {"auto_delete_minutes": 60},
        {"observed_auto_delete": 60},
    ],
)
def test_what_was_to_end_is_not_shown_any_more(fields: dict[str, Any]) -> None:
    assert shown_of(row(status=Status.GONE, **fields)) is None


@pytest.mark.parametrize("intent", [Intent.RUNNING, Intent.STOPPED, Intent.ARCHIVED])
def test_what_vanished_on_its_own_is_shown_as_archived_with_a_message(intent: Intent) -> None:
    shown = shown_of(row(status=Status.GONE, intent=intent, observed_auto_delete=-1))
    assert shown == Shown("archived", GONE_WORDS, "box")


@pytest.mark.parametrize("fields", [{"intent": Intent.DELETED}, {"ephemeral": True}])
def test_what_still_exists_is_shown_though_it_is_to_end(fields: dict[str, Any]) -> None:
    assert shown_of(row(status=Status.STOPPING, **fields)) == Shown("stopping", "", "box")


def test_before_daytona_has_it_there_is_nothing_to_show() -> None:
    assert shown_of(row(status=Status.CREATING, daytona_id=None)) is None


@pytest.mark.parametrize(("status", "is_shown"), [(Status.GONE, False), (Status.RUNNING, True)])
def test_what_was_withdrawn_is_off_the_list_for_as_long_as_it_is_gone(status: Status, is_shown: bool) -> None:
    withdrawn = ConvexProjection(sandbox=row(status=status), withdrawn=True)
    assert (wanted(withdrawn) is not None) == is_shown
