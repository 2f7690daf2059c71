from __future__ import annotations

import json
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from django.core.management import CommandError, call_command

from sandboxes import clock
from sandboxes.core.vocabulary import Intent, Status
from sandboxes.models import AuditEntry, Operation, Owner, Policy, Sandbox

if TYPE_CHECKING:
    from datetime import datetime

pytestmark = pytest.mark.django_db


def run(command: str, *arguments: str) -> str:
    out = StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()


def box(owner: str, *, since: datetime) -> Sandbox:
    Owner.objects.get_or_create(pk=owner)
    return Sandbox.objects.create(
        owner_id=owner, name=f"{owner}'s", status=Status.RUNNING, intent=Intent.RUNNING, created_at=since,
        status_changed_at=since, last_accessed_at=since, daytona_id=f"d-{owner}", observed_at=since,
        observed_state="started", desired_state="started", observed_auto_delete=-1, intent_met_at=since,
    )  # fmt: skip


def test_a_dry_run_says_whom_rules_will_touch_and_changes_nothing() -> None:
    now = clock.now()
    box("alice", since=now), box("carol", since=now)
    assert run("set_policy", "--longest-run", "120") == "Policy of default: longest_run 120.\n"
    run("set_policy", "--owner", "carol", "--longest-run", "0", "--idle-stop", "1500", "--reason", "a demo")
    assert run("apply_policies") == "2 sandboxes were judged.\n"
    shown = run("apply_policies", "--dry-run", "--hours", "3")
    assert "alice's" in shown
    assert "Longest run by default, 2 h" in shown
    assert "carol" not in shown
    assert "1 within 3 hours" in shown
    (line,) = json.loads(run("apply_policies", "--dry-run", "--hours", "26", "--owner", "carol", "--json"))[
        "results"
    ]
    assert (line["owner"], line["action"], line["rule"], line["scope"]) == ("carol", "stop", "idle_stop", "owner")
    assert not Operation.objects.exists()
    assert AuditEntry.objects.get(action="policy", owner="carol").reason == "a demo"


def test_a_rule_is_taken_back_and_wrong_ones_are_refused() -> None:
    run("set_policy", "--tier", "basic", "--idle-stop", "60")
    assert run("set_policy", "--tier", "basic", "--idle-stop", "none") == "Policy of tier basic: nothing.\n"
    assert Policy.objects.get().minutes == dict.fromkeys(Policy().minutes)
    for arguments in (["--tier", "huge", "--idle-stop", "5"], ["--expiry", "5"], []):
        with pytest.raises(CommandError):
            run("set_policy", *arguments)
