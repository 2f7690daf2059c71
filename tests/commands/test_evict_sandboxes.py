from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from django.core.management import CommandError, call_command

from sandboxes import clock
from sandboxes.management.commands.evict_sandboxes import seconds
from sandboxes.models import Operation, Sandbox
from sandboxes.services import reconcile
from sandboxes.services.reconcile import Options

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("systems")]


@pytest.fixture
def idle(emulator: Emulator) -> Sandbox:
    moment = clock.now() - timedelta(hours=3)
    labels = {"harness_user_id": "alice"}
    emulator.seed([{"name": "idle", "labels": labels, "lastActivityAt": moment.isoformat(), "cpu": 2}])
    emulator.seed([{"name": "used", "labels": labels}])
    reconcile.sweep(Options(adopt=True, adopt_unlisted=True))
    return Sandbox.objects.get(daytona_name="idle")


def evict(*arguments: str) -> str:
    words = StringIO()
    call_command("evict_sandboxes", *arguments, stdout=words)
    return words.getvalue()


def test_the_table_has_a_verdict_on_each(idle: Sandbox) -> None:
    words = evict("--idle", "2h")
    assert "is stopped" in words
    assert "used too recently" in words
    assert words.endswith("1 sandboxes are being stopped: 2 vCPU and 1 GiB of memory.\n")
    assert Operation.objects.get().sandbox == idle


def test_a_name_is_no_markup(idle: Sandbox) -> None:
    Sandbox.objects.filter(pk=idle.pk).update(name="[/tmp]")
    assert "[/tmp]" in evict("--idle", "2h")


def test_a_dry_run_stops_nothing(idle: Sandbox) -> None:
    assert "would be stopped" in evict("--idle", "2h", "--dry-run")
    assert not Operation.objects.exists()


def test_the_json_has_the_verdicts_too(idle: Sandbox) -> None:
    answer = json.loads(evict("--free-cpu", "1", "--json"))
    assert (answer["stopped"], answer["cpu"], answer["enough"], answer["dry_run"]) == (1, 2, True, False)
    (verdict,) = answer["verdicts"]
    assert (verdict["name"], verdict["broken"], verdict["stopped"]) == ("idle", [], True)


def test_too_little_room_is_exit_code_2(idle: Sandbox) -> None:
    with pytest.raises(SystemExit) as end:
        evict("--free-memory", "64")
    assert end.value.code == 2


def test_disk_is_freed_by_archives(emulator: Emulator, idle: Sandbox) -> None:
    moment = clock.now() - timedelta(hours=4)
    labels = {"harness_user_id": "alice"}
    emulator.seed([{"name": "rests", "labels": labels, "lastActivityAt": moment.isoformat(), "state": "stopped"}])
    reconcile.sweep(Options(adopt=True, adopt_unlisted=True))
    dry = json.loads(evict("--free-disk", "3", "--dry-run", "--json"))
    assert (dry["archived"], dry["disk_gb"], dry["enough"], "stopped" in dry) == (1, 3, True, False)
    assert evict("--free-disk", "3").endswith("1 sandboxes are being archived: 3 GiB of disk.\n")
    assert (Operation.objects.get().action, Operation.objects.get().sandbox.daytona_name) == ("archive", "rests")


def test_nothing_said_is_refused() -> None:
    with pytest.raises(CommandError, match="Say what to stop"):
        evict()


@pytest.mark.parametrize("arguments", [["--idle", "soon"], ["--free-cpu", "0"], ["--limit", "-1"]])
def test_what_is_no_duration_or_number_is_refused(arguments: list[str]) -> None:
    with pytest.raises(CommandError, match="is no "):
        evict(*arguments)


@pytest.mark.parametrize(("text", "value"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("1d", 86400)])
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == value
