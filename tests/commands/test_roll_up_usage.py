from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from sandboxes.models import UsageHour
from sandboxes.services import leases, usage_roll_up
from tests.support import rows

pytestmark = pytest.mark.django_db


def roll_up(*arguments: str) -> str:
    words = StringIO()
    call_command("roll_up_usage", *arguments, stdout=words)
    return words.getvalue().strip()


def test_all_that_is_kept_is_rolled_up_and_may_be_again() -> None:
    rows.operation(rows.sandbox(of="ada", status="stopped"), "start", at=rows.ago(hours=30))
    assert roll_up().endswith("UTC: 1 numbers.")
    assert json.loads(roll_up("--json"))["numbers"] == 1
    assert UsageHour.objects.get().owner == "ada"


def test_from_a_time_on() -> None:
    answer = json.loads(roll_up("--json", "--since", f"{rows.ago(hours=5):%Y-%m-%dT%H:30}"))
    assert answer["since"] == f"{rows.ago(hours=5):%Y-%m-%dT%H:00:00+00:00}"
    assert usage_roll_up.rolled_up_until() is not None


def test_what_cannot_be_done_is_said() -> None:
    with pytest.raises(CommandError, match="begin there, or later"):
        roll_up("--since", "2020-01-01")
    with pytest.raises(CommandError, match="write 2026-05-01"):
        roll_up("--since", "yesterday")
    leases.take(usage_roll_up.NAME, holder="another process", seconds=60)
    with pytest.raises(CommandError, match="another process"):
        roll_up()
