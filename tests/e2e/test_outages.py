from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxes.models import ConvexProjection, Notice
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.e2e.conftest import Installation


def test_while_daytona_is_down_an_operation_waits_and_says_so(running: Installation) -> None:
    sandbox = running.created()
    down = running.emulator.faults.add("status", system="daytona", status=503, answer="upstream is away")
    operation = running.accepted(running.post(f"/sandboxes/{sandbox['id']}/stop"))
    wait_until(
        lambda: "daytona" in running.get(f"/operations/{operation['id']}")["step"].lower(),
        what="a step that names Daytona",
    )
    assert running.get(f"/operations/{operation['id']}")["status"] in ("queued", "in_progress")
    running.emulator.faults.remove(down)
    assert running.ended(operation)["status"] == "succeeded"
    running.agrees(sandbox["id"], status="stopped", state="stopped")


def test_while_convex_is_down_operations_go_on_and_the_row_follows(running: Installation) -> None:
    sandbox = running.created()
    down = running.emulator.faults.add("status", system="convex", status=503, answer="upstream is away")
    running.do(running.post(f"/sandboxes/{sandbox['id']}/stop"))
    wait_until(lambda: running.emulator.faults.hits(down) > 0, what="a push that failed")
    assert ConvexProjection.objects.behind().filter(pk=sandbox["id"]).exists()
    running.emulator.faults.remove(down)
    running.agrees(sandbox["id"], status="stopped", state="stopped")


def test_a_revoked_key_of_daytona_is_one_notice_and_no_storm(running: Installation) -> None:
    sandboxes = [running.created(name=f"s{number}") for number in range(3)]
    refused = running.emulator.faults.add(
        "status", system="daytona", status=401, answer={"message": "Unauthorized"}
    )
    operations = [running.accepted(running.post(f"/sandboxes/{one['id']}/stop")) for one in sandboxes]
    notice = wait_until(lambda: Notice.objects.filter(closed_at=None).first(), what="notice")
    assert notice.code == "daytona_unauthorized"
    assert "DAYTONA_API_KEY" in notice.remedy
    wait_until(lambda: running.emulator.faults.hits(refused) >= 2, what="a second, later try")
    assert running.emulator.faults.hits(refused) < 20
    running.emulator.faults.remove(refused)
    for operation in operations:
        assert running.ended(operation)["status"] == "succeeded"
    assert Notice.objects.filter(code="daytona_unauthorized").count() == 1
