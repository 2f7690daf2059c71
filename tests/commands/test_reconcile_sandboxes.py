from __future__ import annotations

import json
import signal
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command

from sandboxes import clock
from sandboxes.models import Lease, Sandbox, Sweep
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.services import leases, reconcile
from sandboxes.services.reconcile import Options
from sandboxes.services.sweeps import LEASE
from tests.support.processes import environment_for, manage, run_command, running
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_django import Settings

    from tests.support.emulator import Emulator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("systems")]
OWNED: dict[str, Any] = {"labels": {"harness_user_id": "alice"}}


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """The command takes the signals of its process, which here is the tests'."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def no_convex(systems: Emulator, settings: Settings) -> None:
    settings.CONVEX_URL = settings.CONVEX_DEPLOY_KEY = ""


def run(*arguments: str) -> tuple[int, str, str]:
    stdout, stderr = StringIO(), StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("reconcile_sandboxes", *arguments, stdout=stdout, stderr=stderr)
    return int(end.value.code or 0), stdout.getvalue(), stderr.getvalue()


def run_json(*arguments: str) -> tuple[int, dict[str, Any]]:
    code, stdout, _ = run("--json", *arguments)
    return code, json.loads(stdout)


def adopted(emulator: Emulator, **fields: object) -> Sandbox:
    (key,) = emulator.seed([OWNED | fields])
    reconcile.sweep(Options(adopt=True))
    return Sandbox.objects.get(daytona_id=key)


def test_a_clean_sweep_is_one_line_and_exit_code_0(emulator: Emulator) -> None:
    adopted(emulator)
    code, stdout, _ = run()
    assert (code, stdout.count("\n")) == (0, 1)
    assert stdout.startswith("sweep complete in ")
    assert "1 listed" in stdout


def test_on_a_terminal_the_findings_are_a_table(emulator: Emulator) -> None:
    emulator.seed([OWNED | {"name": "box"}])
    words = on_a_terminal("--dry-run")
    assert "in words" in words
    assert "orphan" in words
    assert words.strip().splitlines()[-1].startswith("sweep complete (dry run)")


def test_a_name_is_no_markup(emulator: Emulator) -> None:
    emulator.seed([OWNED | {"name": "[/tmp]"}])
    assert "[/tmp]" in on_a_terminal("--dry-run")


def on_a_terminal(*arguments: str) -> str:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    words = Terminal()
    with pytest.raises(SystemExit):
        call_command("reconcile_sandboxes", *arguments, stdout=words)
    return words.getvalue()


def test_what_was_healed_is_exit_code_0_and_in_the_json(emulator: Emulator) -> None:
    sandbox = adopted(emulator, name="box")
    emulator.change(str(sandbox.daytona_id), state="stopped")
    code, answer = run_json()
    assert (code, answer["result"], answer["counts"]["drift"]) == (0, "complete", 1)
    assert answer["findings"] == [
        {
            "kind": "drift",
            "text": "started → stopped",
            "sandbox": str(sandbox.pk),
            "daytona_id": sandbox.daytona_id,
            "name": "box",
            "owner": "alice",
            "changes": [],
        }
    ]
    sandbox.refresh_from_db()
    assert sandbox.status == "stopped"


def test_drift_in_a_dry_run_is_exit_code_2(emulator: Emulator) -> None:
    sandbox = adopted(emulator)
    emulator.change(str(sandbox.daytona_id), state="stopped")
    code, answer = run_json("--dry-run")
    assert (code, answer["dry_run"], answer["counts"]["drift"]) == (2, True, 1)
    sandbox.refresh_from_db()
    assert sandbox.status == "running"


def test_a_dry_run_of_what_is_clean_is_exit_code_0(emulator: Emulator) -> None:
    adopted(emulator)
    assert run_json("--dry-run")[0] == 0


def test_with_daytona_down_it_is_partial_and_exit_code_3(settings: Settings) -> None:
    settings.DAYTONA_API_URL = "http://127.0.0.1:9/api"
    daytona.reset()
    code, stdout, _ = run()
    assert (code, stdout.startswith("sweep partial in ")) == (3, True)


def test_a_second_sweep_says_who_holds_the_first_and_ends_with_3(emulator: Emulator) -> None:
    assert leases.take(LEASE, holder="host-7, process 42", seconds=60) is not None
    code, stdout, stderr = run()
    assert (code, stdout) == (3, "")
    assert "host-7, process 42" in stderr


def test_orphans_are_adopted_when_asked_to(emulator: Emulator) -> None:
    emulator.seed([OWNED])
    assert run_json()[1]["counts"]["orphan"] == 1
    assert run_json("--adopt")[1]["counts"]["adopted"] == 1
    assert Sandbox.objects.count() == 1


def test_of_one_owner_only_theirs_are_listed(emulator: Emulator) -> None:
    emulator.seed([OWNED, {"labels": {"harness_user_id": "bob"}}])
    _, answer = run_json("--owner", "bob", "--adopt")
    assert (answer["owner"], answer["counts"]["listed"]) == ("bob", 1)
    assert Sandbox.objects.get().owner_id == "bob"


def test_a_pause_of_nothing_is_refused() -> None:
    with pytest.raises(CommandError, match="--every"):
        call_command("reconcile_sandboxes", "--every", "0")


def test_a_restored_database_is_swept_as_such_only_once() -> None:
    with pytest.raises(CommandError, match="--restored is for one sweep"):
        call_command("reconcile_sandboxes", "--restored", "--every", "60")
    assert not Sweep.objects.exists()


def test_a_process_of_its_own_ends_with_the_exit_code(emulator: Emulator) -> None:
    emulator.seed([OWNED])
    environment = environment_for(emulator, CONVEX_URL="", CONVEX_DEPLOY_KEY="")
    done = run_command("reconcile_sandboxes", "--dry-run", environment=environment)
    assert (done.returncode, "1 orphan" in done.stdout) == (2, True)


def test_every_so_many_seconds_it_sweeps_until_sigterm(emulator: Emulator, tmp_path: Path) -> None:
    environment = environment_for(emulator, CONVEX_URL="", CONVEX_DEPLOY_KEY="")
    command = manage("reconcile_sandboxes", "--every", "0.2")
    with running(command, environment=environment, log=tmp_path / "log") as program:
        wait_until(lambda: Sweep.objects.filter(result="complete").count() >= 3, what="three sweeps")
        assert program.stop(signal.SIGTERM) == 0
    assert program.output.count("sweep complete") >= 3


def test_sigterm_in_the_middle_of_the_list_ends_it_after_the_page(emulator: Emulator, tmp_path: Path) -> None:
    emulator.seed(count=60, **OWNED)
    emulator.settings(latency=0.3)
    environment = environment_for(emulator, CONVEX_URL="", CONVEX_DEPLOY_KEY="", RECONCILE_PAGE="2")
    with running(manage("reconcile_sandboxes"), environment=environment, log=tmp_path / "log") as program:
        wait_until(lambda: emulator.counts()["daytona"].get("GET /sandbox", 0) > 1, what="the list")
        assert program.stop(signal.SIGTERM) == 3
    line = Sweep.objects.latest("pk")
    assert (line.result, line.detail) == (Sweep.Result.PARTIAL, "stopped by a signal")
    assert Lease.objects.get(name=LEASE).lease_until is None


def test_after_kill_9_the_next_sweep_waits_for_the_lease_alone(emulator: Emulator, tmp_path: Path) -> None:
    emulator.seed(count=60, **OWNED)
    emulator.settings(latency=0.3)
    environment = environment_for(emulator, CONVEX_URL="", CONVEX_DEPLOY_KEY="", RECONCILE_PAGE="2")
    with running(manage("reconcile_sandboxes"), environment=environment, log=tmp_path / "log") as program:
        wait_until(lambda: emulator.counts()["daytona"].get("GET /sandbox", 0) > 1, what="the list")
        program.kill()
    emulator.settings(latency=0.0)
    with pytest.raises(reconcile.SweepUnderWay):
        reconcile.sweep()
    clock.move(61)
    assert reconcile.sweep().result == Sweep.Result.COMPLETE
    assert not Sweep.objects.filter(result=Sweep.Result.RUNNING).exists()
