"""Every filtered list can be taken away, as it is filtered, row by row."""

from __future__ import annotations

import csv
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse

from sandboxes.models import Sandbox
from sandboxes.services import keys
from tests.support import rows

if TYPE_CHECKING:
    from django.test import Client

EXPORT = "admin:sandboxes_sandbox_export"


def lines(answer: Any) -> list[str]:
    assert answer.status_code == 200
    text: str = b"".join(answer.streaming_content).decode()
    return text.splitlines()


def test_csv_has_the_rows_of_the_filtered_list_in_its_order(admin: Client) -> None:
    rows.sandbox("alpha", of="ann")
    rows.sandbox("omega", of="ann")
    rows.sandbox("other", of="bob")
    answer = admin.get(reverse(EXPORT), {"q": "ann", "o": "-1", "format": "csv"})
    assert answer["Content-Disposition"] == 'attachment; filename="sandboxes.csv"'
    found = list(csv.DictReader(lines(answer)))
    assert [row["name"] for row in found] == ["omega", "alpha"]
    assert (found[0]["owner_id"], found[0]["status"]) == ("ann", "running")
    assert "lease_token" not in found[0]


def test_json_lines_keep_what_is_no_text(admin: Client) -> None:
    rows.sandbox("alpha", labels={"a": "b"}, ephemeral=True)
    (line,) = lines(admin.get(reverse(EXPORT), {"format": "jsonl"}))
    row = json.loads(line)
    assert (row["labels"], row["ephemeral"], row["deleted_at"]) == ({"a": "b"}, True, None)


def test_no_cell_is_a_formula(admin: Client) -> None:
    rows.sandbox("=HYPERLINK(1)")
    assert next(csv.DictReader(lines(admin.get(reverse(EXPORT)))))["name"] == "'=HYPERLINK(1)"


@pytest.mark.parametrize("model", ["operation", "sandboxevent", "owner", "servicekey", "auditentry", "notice"])
def test_every_list_has_it_and_no_secret(admin: Client, model: str) -> None:
    row = rows.sandbox()
    rows.event(row, operation=rows.operation(row))
    key, _ = keys.create_key("harness", scopes=["sandboxes:read"])
    text = "".join(lines(admin.get(reverse(f"admin:sandboxes_{model}_export"))))
    assert key.digest not in text
    assert f"/{model}/export/?format=csv" not in text
    listing = admin.get(reverse(f"admin:sandboxes_{model}_changelist")).content.decode()
    assert ("export/?format=csv" in listing) == (model != "notice")


def test_it_takes_the_permission_and_a_known_format(viewer: Client) -> None:
    assert viewer.get(reverse("admin:sandboxes_auditentry_export")).status_code == 403
    assert viewer.get(reverse(EXPORT), {"format": "xml"}).status_code == 400


def test_memory_does_not_grow_with_the_list(admin: Client) -> None:
    first = rows.sandbox(labels={"long": "x" * 2000})
    values = {field.attname: getattr(first, field.attname) for field in Sandbox._meta.concrete_fields}
    for name in ("id", "daytona_id"):
        del values[name]
    Sandbox.objects.bulk_create((Sandbox(**values) for _ in range(6000)), batch_size=500)
    answer: Any = admin.get(reverse(EXPORT), {"format": "jsonl"})
    tracemalloc.start()
    size = sum(len(part) for part in answer.streaming_content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 12_000_000
    assert peak < 9_000_000, peak
