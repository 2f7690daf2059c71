from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from sandboxes import clock
from sandboxes.core.codes import NoticeCode
from sandboxes.core.vocabulary import Action, ActorKind, Source
from sandboxes.models import Operation, Owner, Sandbox, Sweep, WorkerHeartbeat
from sandboxes.providers.convex import gateway as convex
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.services import leases, notices
from sandboxes.services.sweeps import LEASE
from tests.support import rows
from tests.support.processes import environment_for, run_command

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django import Settings

    from tests.support.emulator import Emulator

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("systems")]


class Answer:
    """What `doctor --json` said: levels and whole findings by check."""

    def __init__(self) -> None:
        words = StringIO()
        self.code = 0
        try:
            call_command("doctor", "--json", stdout=words)
        except SystemExit as end:
            self.code = int(end.code or 0)
        said = json.loads(words.getvalue())
        self.broken: bool = said["broken"]
        self.findings: dict[str, dict[str, Any]] = {finding["check"]: finding for finding in said["findings"]}

    def level(self, check: str) -> str:
        return str(self.findings[check]["level"])


@pytest.fixture
def a_worker() -> None:
    now = clock.now()
    WorkerHeartbeat.objects.create(worker_id="w", host="h", pid=1, places=4, started_at=now, beat_at=now)


@pytest.fixture
def a_sweep() -> None:
    now = clock.now()
    Sweep.objects.create(result=Sweep.Result.COMPLETE, started_at=now, finished_at=now)


@pytest.mark.usefixtures("a_worker", "a_sweep")
def test_a_warning_fails_when_it_is_asked_to(emulator: Emulator) -> None:
    emulator.settings(convex={"functions": "main", "sandkeeper": True})
    call_command("doctor", "--fail-on", "warning", stdout=StringIO())
    notices.tell(NoticeCode.SETTINGS_DIFFER, "Some differ.")
    call_command("doctor", stdout=StringIO())
    with pytest.raises(SystemExit, match="1"):
        call_command("doctor", "--fail-on", "warning", stdout=StringIO())


@pytest.mark.usefixtures("a_worker", "a_sweep")
def test_all_is_well(emulator: Emulator) -> None:
    emulator.settings(convex={"functions": "main", "sandkeeper": True})
    answer = Answer()
    assert [finding for finding in answer.findings.values() if finding["level"] != "ok"] == []
    assert (answer.code, answer.broken) == (0, False)


def test_without_a_worker_nothing_moves() -> None:
    answer = Answer()
    assert answer.level("workers") == "broken"
    assert "run_worker" in answer.findings["workers"]["remedy"]
    assert (answer.code, answer.broken) == (1, True)


def test_a_wrong_key_of_daytona_is_broken(settings: Settings) -> None:
    settings.DAYTONA_API_KEY = "dtn_wrong"
    assert Answer().level("daytona") == "broken"


def test_a_wrong_deploy_key_is_broken(settings: Settings) -> None:
    settings.CONVEX_DEPLOY_KEY = "dev:test|wrong"
    assert Answer().level("convex_unauthorized") == "broken"


def test_a_function_that_convex_lacks_is_named(emulator: Emulator) -> None:
    emulator.settings(convex={"functions": "first"})
    found = Answer().findings["convex_function_optional"]
    assert found["level"] == "warning"
    assert found["remedy"]


def test_while_sandkeeper_ts_is_missing_on_main_a_delete_leaves_its_harness_linked(emulator: Emulator) -> None:
    emulator.settings(convex={"functions": "main"})
    found = Answer().findings["convex_harness_stays_linked"]
    assert (found["level"], "convex/sandkeeper.ts" in found["remedy"]) == ("warning", True)
    emulator.settings(convex={"functions": "main", "sandkeeper": True})
    assert "convex_harness_stays_linked" not in Answer().findings


def test_an_index_that_the_application_lacks_is_broken(emulator: Emulator) -> None:
    emulator.settings(convex={"sandkeeper": True, "lacks": ["workspaces.by_user"]})
    assert "workspaces.by_user" in Answer().findings["convex_schema_incomplete"]["text"]


def test_a_paused_deployment_is_broken(emulator: Emulator) -> None:
    emulator.settings(convex={"state": "paused"})
    assert Answer().level("convex_paused") == "broken"


def test_without_convex_it_says_so(settings: Settings) -> None:
    settings.CONVEX_URL = settings.CONVEX_DEPLOY_KEY = ""
    assert Answer().level("convex") == "ok"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONVEX_URL", "happy.convex.cloud"),
        ("CONVEX_URL", "http://[happy"),
        ("CONVEX_DEPLOY_KEY", "dev:test| 0123"),
        ("CONVEX_DEPLOY_KEY", ""),
        ("CONVEX_URL", ""),
        ("CONVEX_URL", "https://happy-animal-123.convex.site"),
        ("CONVEX_DEPLOY_KEY", "preview:team:project|0123"),
        ("DAYTONA_API_URL", "app.daytona.io"),
        ("DAYTONA_API_URL", "http://[app"),
        ("DAYTONA_API_KEY", "dtn_zoë"),
    ],
)
def test_a_value_that_cannot_be_used_is_a_finding_not_a_crash(settings: Settings, name: str, value: str) -> None:
    setattr(settings, name, value)
    convex.reset()
    daytona.reset()
    found = Answer().findings[name.split("_")[0].lower()]
    assert (found["level"], "not set: nothing" in found["text"]) == ("broken", False)
    assert found["remedy"]


@pytest.mark.usefixtures("a_worker")
def test_a_sweep_older_than_observations_may_be_is_said_unless_one_is_under_way(settings: Settings) -> None:
    settings.OBSERVATION_TTL, settings.SWEEP_STALE_SECONDS = 60, 900
    ended = clock.now() - timedelta(seconds=90)
    Sweep.objects.create(result=Sweep.Result.COMPLETE, started_at=ended, finished_at=ended)
    found = Answer().findings["sweep"]
    assert (found["level"], "OBSERVATION_TTL is 60 s" in found["text"]) == ("warning", True)
    settings.SWEEP_STALE_SECONDS = 80
    assert "OBSERVATION_TTL" not in Answer().findings["sweep"]["text"]
    settings.SWEEP_STALE_SECONDS = 3600
    leases.take(LEASE, holder="a long one", seconds=60)
    assert Answer().level("sweep") == "ok"


def test_unreachable_systems_are_broken(settings: Settings) -> None:
    settings.DAYTONA_API_URL = settings.CONVEX_URL = "http://127.0.0.1:9"
    answer = Answer()
    assert answer.level("daytona") == "broken"
    assert answer.level("convex_unavailable") == "broken"


def test_a_wrong_configuration_is_a_finding_not_a_crash(settings: Settings) -> None:
    settings.TIERS = {}
    assert Answer().level("configuration") == "broken"


@pytest.mark.django_db(transaction=True)
def test_on_an_empty_database_it_says_what_to_run_and_goes_on(emulator: Emulator, tmp_path: Path) -> None:
    environment = environment_for(emulator, DATABASE_URL=f"sqlite:///{tmp_path / 'new.sqlite3'}")
    done = run_command("doctor", environment=environment)
    assert done.returncode == 1
    assert "Run `manage.py migrate`." in done.stdout
    assert "worker" not in done.stdout
    assert "ok      Daytona answers" in done.stdout


@pytest.mark.django_db(transaction=True)
def test_without_a_database_it_says_so_and_goes_on(emulator: Emulator, tmp_path: Path) -> None:
    environment = environment_for(emulator, DATABASE_URL=f"sqlite:///{tmp_path}")  # a folder is no database
    done = run_command("doctor", environment=environment)
    assert done.returncode == 1
    assert "BROKEN  The database does not answer" in done.stdout
    assert "ok      Daytona answers" in done.stdout


@pytest.mark.usefixtures("a_worker")
def test_what_is_late_is_counted_with_the_oldest() -> None:
    now = clock.now()
    owner = Owner.objects.create(id="user_late")
    hour = now - timedelta(hours=3)
    sandbox = Sandbox.objects.create(
        name="s",
        owner=owner,
        daytona_id="d",
        created_at=hour,
    )
    rows.project(sandbox, wanted_generation=2, behind_since=hour)
    Operation.objects.create(
        sandbox=sandbox,
        owner=owner.pk,
        action=Action.STOP,
        actor_kind=ActorKind.STAFF,
        actor_id="ada",
        source=Source.ADMIN,
        created_at=hour,
        due_at=hour,
    )
    Sweep.objects.create(result=Sweep.Result.COMPLETE, started_at=hour, finished_at=hour)
    WorkerHeartbeat.objects.create(worker_id="dead", host="h", pid=2, places=4, started_at=hour, beat_at=hour)
    notices.tell(NoticeCode.ORG_SUSPENDED, "Suspended for a test")
    answer = Answer()
    assert answer.level("operations") == "broken"
    assert "1 rows of the lane people" in answer.findings["operations"]["text"]
    for check in ("behind", "sweep", "worker_silent", "notice_org_suspended"):
        assert answer.level(check) == "warning", check
        assert answer.findings[check]["remedy"]
    assert "3 h" in answer.findings["sweep"]["text"]


@pytest.mark.usefixtures("a_worker", "a_sweep")
def test_sweeps_that_are_rarer_than_the_alert_allows_are_told(settings: Settings) -> None:
    before = clock.now() - timedelta(seconds=settings.SWEEP_STALE_SECONDS + 60)
    Sweep.objects.create(result=Sweep.Result.COMPLETE, started_at=before, finished_at=before)
    answer = Answer()
    assert answer.level("sweep") == "warning"
    assert "SWEEP_STALE_SECONDS" in answer.findings["sweep"]["remedy"]


def test_the_known_password_is_found_outside_development(settings: Settings) -> None:
    get_user_model()._default_manager.create_superuser("admin", "", "admin")
    settings.DEBUG = True
    assert "password" not in Answer().findings
    settings.DEBUG = False
    assert Answer().level("password") == "broken"
