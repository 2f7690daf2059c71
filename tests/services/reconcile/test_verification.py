"""Sweeps compare Convex with our rows on a schedule, and say what they compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandboxes import clock
from sandboxes.core.codes import NoticeCode
from sandboxes.models import Notice
from sandboxes.services import reconcile, verifications
from sandboxes.services.doctor import installation
from sandboxes.services.doctor.finding import Level
from sandboxes.services.reconcile import Options
from tests.services.projection.conftest import convex, settings_of_convex
from tests.services.projection.driving import Convex, may_not_act, push_until_clean, sandbox
from tests.services.projection.test_verify import later
from tests.support import convex as wire

if TYPE_CHECKING:
    from pytest_django import Settings

__all__ = ["convex", "settings_of_convex"]
pytestmark = pytest.mark.django_db(transaction=True)
ALL = {"existence", "owner", "status", "name", "message"}


def aspects(counts: dict[str, int], beginning: str) -> set[str]:
    return {name.removeprefix(beginning) for name in counts if name.startswith(beginning)}


def is_open() -> bool:
    return Notice.objects.filter(code=NoticeCode.CONVEX_DIFFERS, closed_at=None).exists()


def rename_there(there: Convex, box: Any) -> None:
    row_id = there.row(box)["_id"]
    wire.value_of(wire.call_as(there.emulator, box.owner_id, "sandboxes:update", id=row_id, name="theirs"))


@pytest.mark.parametrize(
    ("functions", "unread"),
    [("first", {"name", "message"}), ("second", {"name", "message"}), ("main", {"status", "name", "message"})],
)
@pytest.mark.parametrize("acting", [True, False])
def test_it_says_what_it_compared_and_what_cannot_be_read(
    convex: Convex, functions: str, unread: set[str], acting: bool
) -> None:
    convex.configure(functions=functions)
    sandbox(pushed=True)
    if not acting:
        may_not_act(convex)
    later()
    result = reconcile.sweep(Options(verify_convex=True))
    counts = result.report.counts
    left = set() if acting else unread
    assert aspects(counts, "convex_compared_") == ALL - left
    assert aspects(counts, "convex_cannot_be_read_here_") == left


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_name_that_somebody_gave_there_is_said(convex: Convex, dry_run: bool) -> None:
    box = sandbox(pushed=True)
    later()
    assert reconcile.sweep(Options(verify_convex=True, dry_run=dry_run)).report.counts["convex"] == 0
    rename_there(convex, box)
    result = reconcile.sweep(Options(verify_convex=True, dry_run=dry_run))
    assert result.report.counts["convex_renamed"] == 1
    assert [one.as_data()["kind"] for one in result.report.findings if one.kind == "convex"] == ["convex"]


def test_a_sweep_does_it_once_in_a_while_and_what_differs_is_a_notice(convex: Convex, settings: Settings) -> None:
    settings.CONVEX_VERIFY_EVERY = 3600
    box = sandbox(pushed=True)
    later()
    assert reconcile.sweep().report.counts["convex_checked"] == 1
    rename_there(convex, box)
    assert "convex_checked" not in reconcile.sweep().report.counts, "it is not due yet"
    assert not is_open()
    clock.move(3601)
    assert reconcile.sweep().report.counts["convex_renamed"] == 1
    assert is_open()
    (line,) = installation.look_at_verification()
    assert line.level == Level.WARNING
    assert "1 renamed" in line.text
    wire.forget(convex.emulator, box.daytona_id or "")
    convex.seed(box, status="running")
    push_until_clean(box)
    clock.move(3601)
    reconcile.sweep()
    assert not is_open()


def test_one_that_convex_broke_off_is_due_again(convex: Convex, settings: Settings) -> None:
    settings.CONVEX_VERIFY_EVERY = 3600
    sandbox(pushed=True)
    later()
    convex.configure(state="paused")
    assert reconcile.sweep().result == "partial"
    made = verifications.last()
    assert made is not None
    assert made.error.startswith("Paused")
    convex.configure(state="running")
    clock.move(61)
    assert reconcile.sweep().report.counts["convex_checked"] == 1


def test_it_can_be_turned_off(convex: Convex, settings: Settings) -> None:
    settings.CONVEX_VERIFY_EVERY = 0
    sandbox(pushed=True)
    later()
    assert "convex_checked" not in reconcile.sweep().report.counts
    assert verifications.last() is None
