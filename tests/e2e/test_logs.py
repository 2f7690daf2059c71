from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.e2e.conftest import Installation


def lines(installation: Installation, name: str) -> list[dict[str, Any]]:
    """The JSON lines of a process (and nothing else of it)."""
    written = (installation.folder / name).read_text().splitlines()
    return [json.loads(line) for line in written if line.startswith("{")]


def test_one_request_can_be_followed_through_web_and_worker(running: Installation) -> None:
    sandbox = running.created()
    running.http.headers["X-Request-ID"] = "followed-1"
    operation = running.do(running.post(f"/sandboxes/{sandbox['id']}/stop"))

    asked = [line for line in lines(running, "web.log") if line.get("request_id") == "followed-1"]
    posts = [line for line in asked if line["event"] == "request_finished" and "/stop" in line["request"]]
    assert [line["code"] for line in posts] == [202]

    def ended() -> list[dict[str, Any]]:
        found = [line for line in lines(running, "worker.log") if line["event"] == "operation_ended"]
        return [line for line in found if line["operation_id"] == operation["id"]]

    (line,) = wait_until(ended, what="line at the end of the operation")
    assert (line["request_id"], line["sandbox_id"]) == ("followed-1", sandbox["id"])
    assert (line["action"], line["status"], line["owner"]) == ("stop", "succeeded", sandbox["owner"])
    assert line["seconds"] > 0


def test_every_operation_has_one_line_at_its_end(running: Installation) -> None:
    sandbox = running.created()
    running.do(running.post(f"/sandboxes/{sandbox['id']}/stop"))
    running.emulator.faults.add("status", system="daytona", path="/start", status=400, answer={"message": "No."})
    running.ended(running.accepted(running.post(f"/sandboxes/{sandbox['id']}/start")))
    told = [line for line in lines(running, "worker.log") if line["event"] == "operation_ended"]
    assert [(line["action"], line["status"], line["code"]) for line in told] == [
        ("create", "succeeded", ""),
        ("stop", "succeeded", ""),
        ("start", "failed", "daytona_rejected"),
    ]
