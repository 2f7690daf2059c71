from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from sandboxes.core.vocabulary import Status
from sandboxes.models import Owner, SandboxEvent
from tests.support import rows

pytestmark = pytest.mark.django_db


def prune(*arguments: str) -> str:
    words = StringIO()
    call_command("prune", *arguments, stdout=words)
    return words.getvalue().strip()


def test_it_says_what_went() -> None:
    rows.event(rows.sandbox(), at=rows.ago(days=100))
    assert prune("--dry-run") == "Would delete 1 events."
    assert prune() == "Deleted 1 events."
    assert (prune(), SandboxEvent.objects.count()) == ("Deleted nothing.", 0)


def test_the_json_has_a_count_of_each_kind() -> None:
    counts = json.loads(prune("--json"))
    history = ["operations", "events", "deliveries", "idempotency", "notices", "jobs", "sweeps", "usage", "audit"]
    assert counts == dict.fromkeys(["tombstones", *history], 0)


def test_an_owner_whose_sandboxes_are_gone_is_erased() -> None:
    rows.sandbox(of="ada", status=Status.GONE)
    assert prune("--owner", "ada", "--dry-run") == "Would delete 1 sandboxes, 1 owners."
    assert prune("--owner", "ada") == "Deleted 1 sandboxes, 1 owners."
    assert not Owner.objects.exists()


def test_an_owner_with_a_sandbox_is_not() -> None:
    rows.sandbox(of="ada")
    with pytest.raises(CommandError, match="not gone"):
        prune("--owner", "ada")
