from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core import serializers

from tests.support.processes import run_command
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from pytest_django import Settings

    from tests.e2e.conftest import Installation

DAYTONA_KEY = "canary0daytona0key0without0a0shape"
CONVEX_KEY = "dev:canary0convex0deployment|canary0convex0key"
PEPPER = "canary0pepper0of0the0service0keys"
SECRET_KEY = "canary0secret0key0of0django0" * 2
PASSWORD = "canary0password0of0staff"
CANARIES = {
    "Daytona's key": DAYTONA_KEY,
    "Convex's key": CONVEX_KEY.split("|")[1],
    "the pepper": PEPPER,
    "SECRET_KEY": SECRET_KEY[:28],
    "the password": PASSWORD,
}
# Where a row holds what only a hash was made of, or a session.
TABLES_OF_HASHES = {"auth.user", "sandboxes.servicekey", "sessions.session"}


def spoil(installation: Installation) -> None:
    """Both systems repeat the key they were sent, in every way that they answer."""
    faults = installation.emulator.faults
    echo = {"message": f"invalid credentials: Bearer {DAYTONA_KEY}", "statusCode": 400, "error": "Bad Request"}
    faults.add("status", system="daytona", path="/start", status=400, answer=echo, times=2)
    faults.add("status", system="daytona", path="/archive", status=502, answer=f"<h1>{DAYTONA_KEY}</h1>", times=1)
    refused = {"status": "error", "errorMessage": f"no access with Convex {CONVEX_KEY}", "logLines": [CONVEX_KEY]}
    faults.add("status", system="convex", path="/api/mutation", status=200, answer=refused, times=1)
    faults.add("status", system="convex", path="/api/mutation", status=403, answer=f"key {CONVEX_KEY}", times=1)


def staff_pages(installation: Installation, sandbox_id: str) -> list[str]:
    get_user_model()._default_manager.create_superuser("grace", "", PASSWORD)
    address = str(installation.http.base_url)
    with httpx.Client(base_url=address, follow_redirects=True, timeout=PATIENCE) as browser:
        browser.get("/admin/login/")
        form = {"username": "grace", "password": PASSWORD, "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        home = browser.post("/admin/login/?next=/admin/", data=form, headers={"Referer": address})
        assert "grace" in home.text
        tables = ["sandbox", "operation", "notice", "owner", "servicekey", "sweep", "workerheartbeat"]
        paths = [f"/admin/sandboxes/{table}/" for table in tables]
        answers = [browser.get(path) for path in [*paths, f"/admin/sandboxes/sandbox/{sandbox_id}/change/"]]
        assert [str(answer.url) for answer in answers if answer.status_code != 200] == []
        return [home.text, *(answer.text for answer in answers)]


def everything_stored() -> str:
    models = [model for model in apps.get_models() if model._meta.label_lower not in TABLES_OF_HASHES]
    return "\n".join(serializers.serialize("json", model._default_manager.all()) for model in models)


def test_no_secret_leaves_the_processes_that_hold_it(installation: Installation, settings: Settings) -> None:
    settings.SERVICE_KEY_PEPPERS = [PEPPER]  # the service key is made here
    own = {"DAYTONA_API_KEY": DAYTONA_KEY, "CONVEX_DEPLOY_KEY": CONVEX_KEY}
    shared = {"SECRET_KEY": SECRET_KEY, "SERVICE_KEY_PEPPERS": PEPPER, "LOG_LEVEL": "DEBUG"}
    organization = installation.emulator.organization
    permissions = ["write:sandboxes", "delete:sandboxes"]
    installation.emulator.settings(
        keys={DAYTONA_KEY: {"organization": organization, "permissions": permissions}}, convex_keys={CONVEX_KEY: {}}
    )
    installation.environment |= own | shared
    installation.web_environment |= shared
    installation.start_web()
    installation.start_worker()

    sandbox = installation.created()
    path = f"/sandboxes/{sandbox['id']}"
    spoil(installation)
    shown = []
    for action in ("stop", "archive", "start", "start", "stop"):
        operation = installation.ended(installation.accepted(installation.post(f"{path}/{action}")))
        shown.append(json.dumps(operation))
    wait_until(
        lambda: all(rule["hits"] for rule in installation.emulator.control.get("/faults").json()),
        what="every fault hit",
    )
    assert "failed" in "".join(shown)

    shown += [json.dumps(installation.get(f"{path}{tail}")) for tail in ("", "/operations", "/events")]
    shown += [installation.http.get(f"/api/v1{path}/nothing").text, *staff_pages(installation, sandbox["id"])]
    for command in (["doctor"], ["doctor", "--json"], ["reconcile_sandboxes", "--json"]):
        done = run_command(*command, environment=installation.environment)
        shown.append(done.stdout + done.stderr)
    shown += [log.read_text() for log in installation.folder.glob("*.log")]
    shown.append(everything_stored())

    everything = "\n".join(shown)
    assert "invalid credentials: Bearer ***" in everything
    assert "no access with Convex ***" in everything
    found = [name for name, canary in CANARIES.items() if canary in everything]
    assert found == []
    assert installation.key not in everything


@pytest.mark.parametrize("name", ["DAYTONA_API_KEY", "CONVEX_DEPLOY_KEY"])
def test_the_web_process_holds_no_key_of_the_other_systems(installation: Installation, name: str) -> None:
    assert name not in installation.web_environment
