"""What stands where it should pass is shown, counted and found as stuck, whoever began it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse

from sandboxes import clock, metrics
from sandboxes.core.codes import Refused
from sandboxes.core.vocabulary import Action, Actor, AuditAction, Intent, OperationStatus, Status
from sandboxes.models import AuditEntry
from sandboxes.services import lifecycle, owners
from tests.admin.pages import confirm, listing, names_listed, page, text_of
from tests.support import rows

if TYPE_CHECKING:
    from django.test import Client

OLD, YOUNG = timedelta(minutes=45), timedelta(minutes=9)


def at(fields: dict[str, Any]) -> dict[str, Any]:
    """With the time that each length of time ago was."""
    now = clock.here()
    return {name: now - value if isinstance(value, timedelta) else value for name, value in fields.items()}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"status": Status.STOPPING}, "stuck: stopping for 45 min"),
        ({"status": Status.STOPPING, "intent": Intent.RUNNING}, "stuck: stopping for 45 min"),
        ({"status": Status.STARTING}, "stuck: starting for 45 min"),
        ({"status": Status.ERROR, "intent": Intent.DELETED, "intent_at": OLD}, "stuck: wanted deleted for 45 min"),
    ],
)
@pytest.mark.parametrize("with_operation", [False, True])
def test_a_row_that_stands_is_stuck_everywhere(
    admin: Client, fields: dict[str, Any], words: str, with_operation: bool
) -> None:
    row = rows.sandbox("stands", **at({"status_changed_at": OLD, **fields}))
    rows.sandbox("rests", status=Status.STOPPED, status_changed_at=rows.ago(minutes=45))
    if with_operation:
        rows.operation(row, Action.STOP, OperationStatus.IN_PROGRESS, at=rows.ago(minutes=45))
    assert words in listing(admin)
    assert words in text_of(page(admin, row))
    assert names_listed(admin, stuck="yes") == ["stands"]
    assert names_listed(admin, stuck="no") == ["rests"]
    assert "Stuck 1 Daytona neither finishes nor fails" in text_of(admin.get(reverse("admin:index")))
    assert "sandkeeper_stuck_sandboxes 1.0" in metrics.exposition().decode()


def test_a_delete_that_never_ends_is_forgotten_with_a_reason(admin: Client) -> None:
    row = rows.sandbox(
        "stands", of="ann", intent=Intent.DELETED, intent_at=rows.ago(minutes=45), intent_met_at=None
    )
    rows.sandbox("rests", of="ann")
    assert owners.cap("ann").used == 2
    words = text_of(confirm(admin, "forget", row, reason="Daytona's ticket 5"))
    assert "Forget: done." in words
    assert "not counted against the owner's limit" in words
    assert owners.cap("ann").used == 1
    told = AuditEntry.objects.get(action=AuditAction.FORGOTTEN)
    assert (told.about_name, told.reason) == ("stands", "Daytona's ticket 5")
    assert names_listed(admin, stuck="yes") == ["stands"], "it still is in Daytona"


def test_what_is_not_stuck_is_not_forgotten(admin: Client) -> None:
    row = rows.sandbox("young", of="ann", intent=Intent.DELETED, intent_at=rows.ago(minutes=1), intent_met_at=None)
    assert "Only a delete that is stuck can be forgotten." in page(admin, row).content.decode()
    with pytest.raises(Refused, match="is not stuck"):
        lifecycle.forget(row.pk, actor=Actor.staff("rosa"), reason="x")
    assert "do-forget" not in page(admin, rows.sandbox("alive")).content.decode()


@pytest.mark.parametrize(
    "fields",
    [
        {"status": Status.STOPPING, "status_changed_at": YOUNG},
        {"status": Status.STOPPING, "observed_state": "archiving", "status_changed_at": OLD},
        {"status": Status.GONE, "status_changed_at": OLD, "intent_at": OLD},
        {"status": Status.RUNNING, "intent": Intent.DELETED, "intent_at": YOUNG},
    ],
)
def test_what_may_still_pass_is_not_stuck(admin: Client, fields: dict[str, Any]) -> None:
    row = rows.sandbox(**at(fields))
    assert "stuck:" not in text_of(page(admin, row))
    assert names_listed(admin, stuck="yes") == []
    assert "Stuck 0 everything moves" in text_of(admin.get(reverse("admin:index")))
