from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxes.models import Sandbox
from tests.support import convex
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.e2e.conftest import Installation


def test_rest_daytona_and_convex_agree_after_every_step(running: Installation) -> None:
    sandbox = running.created(name="journey")
    path, daytona_id = f"/sandboxes/{sandbox['id']}", sandbox["daytona_id"]
    running.agrees(sandbox["id"], status="running", state="started")

    running.do(running.post(f"{path}/stop"))
    running.agrees(sandbox["id"], status="stopped", state="stopped")

    running.do(running.post(f"{path}/archive"))
    running.agrees(sandbox["id"], status="archived", state="archived")

    running.do(running.post(f"{path}/start"))
    running.agrees(sandbox["id"], status="running", state="started")

    running.do(running.http.delete(f"/api/v1{path}"))
    assert running.get(path)["status"] == "gone"
    assert running.emulator.sandbox(daytona_id) is None
    wait_until(lambda: not convex.rows(running.emulator, daytona_id), what="removal from Convex")

    actions = [entry["action"] for entry in running.emulator.log(system="daytona", key=daytona_id)]
    asked = [action for action in actions if action in ("create", "start", "stop", "archive", "delete")]
    assert asked == ["create", "stop", "archive", "start", "delete"]


def test_an_agent_gets_a_running_sandbox_and_a_person_stays_the_master(running: Installation) -> None:
    sandbox = running.created()
    path = f"/sandboxes/{sandbox['id']}"
    assert running.post(f"{path}/ensure-running").status_code == 200

    # Stopped by nobody's wish: it comes back when it is needed.
    running.emulator.change(sandbox["daytona_id"], state="stopped")
    running.do(running.post(f"{path}/sync"))
    running.do(running.post(f"{path}/ensure-running"))
    running.agrees(sandbox["id"], status="running", state="started")

    running.do(running.post(f"{path}/stop"))
    refused = running.post(f"{path}/ensure-running")
    assert (refused.status_code, refused.json()["code"]) == (409, "sandbox_stopped_by_user")
    assert Sandbox.objects.get(pk=sandbox["id"]).intent == "stopped"
