"""What commands log beside what they say, and what the web says of each request."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command

from tests.admin import members
from tests.api.conftest import alice, atlas, issuer, issuer_server
from tests.support.processes import environment_for, run_command

if TYPE_CHECKING:
    from django.test import Client

    from sandboxes.models import Sandbox
    from tests.api.callers import Api
    from tests.support.emulator import Emulator

__all__ = ["alice", "atlas", "issuer", "issuer_server"]


def events(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    found = [record.msg for record in caplog.records]
    return [one for one in found if isinstance(one, dict) and one.get("event") == event]


@pytest.mark.django_db(transaction=True)
def test_a_command_for_people_shows_its_calls_only_when_it_is_asked_to(emulator: Emulator) -> None:
    environment = environment_for(emulator)
    assert run_command("reconcile_sandboxes", environment=environment).stderr == ""
    talkative = run_command("reconcile_sandboxes", "-v", "2", environment=environment).stderr
    assert '"event": "call"' in talkative


@pytest.mark.django_db
def test_the_level_is_the_commands_alone(caplog: pytest.LogCaptureFixture) -> None:
    before = logging.getLogger().level
    call_command("sandkeeper_version")
    assert logging.getLogger().level == before


@pytest.mark.django_db
def test_a_requests_line_names_who_asked_for_whom_and_the_operation(
    alice: Api, atlas: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    answer = alice.post(f"/sandboxes/{atlas.pk}/stop")
    (line,) = events(caplog, "request_finished")
    assert line["principal"].startswith("service:")
    assert (line["owner"], line["operation_id"]) == ("alice", answer.json()["id"])


@pytest.mark.django_db
def test_a_page_of_the_admin_names_the_member_of_staff(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.force_login(members.viewer("vera"))
    client.get("/admin/")
    (line,) = events(caplog, "request_finished")
    assert line["principal"] == "staff:vera"
