"""One statement with values of each row's own: the same as saving them one by one, for every field there is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from django.db import connection, models
from django.test.utils import CaptureQueriesContext

from sandboxes.models import DaytonaCall, IntentChange, Operation, Sandbox, SandboxEvent
from sandboxes.models.bulk import insert_each, update_each
from tests.support import rows

if TYPE_CHECKING:
    from django.db.models import Field, Model

pytestmark = pytest.mark.django_db
TEXTS = ["", "plain", 'o\'brien "%s" {} \\ NULL', "Zoë 🛠\nline", "x" * 20]
JSONS: list[Any] = [{}, {"a": [1, None, {"b": "ü"}], "%s": "'"}, [], [1, "2", None]]
MOMENT = datetime(2026, 7, 1, 12, 30, 15, 123456, tzinfo=UTC)
# Values with a meaning for the database: keys of other rows, and what constraints compare.
KEPT = {"id", "sandbox", "owner", "operation", "caused_by", "intent_change", "sandbox_class"}


def value_for(field: Field[Any, Any], place: int) -> Any:
    if field.null and place % 3 == 0:
        return None
    if isinstance(field, models.JSONField):
        return JSONS[place % len(JSONS)]
    if isinstance(field, models.DateTimeField):
        return MOMENT + timedelta(seconds=place)
    if isinstance(field, models.BooleanField):
        return place % 2 == 0
    if isinstance(field, models.FloatField):
        return 0.1 * place
    if isinstance(field, models.IntegerField):
        return place
    if isinstance(field, models.UUIDField):
        return uuid4()
    if field.choices:
        return list(field.choices)[place % len(list(field.choices))][0]
    if field.unique:
        return f"{field.name}-{place}"
    return TEXTS[place % len(TEXTS)][: getattr(field, "max_length", None)]


def made(model: type[Model], number: int) -> list[Any]:
    sandboxes = [rows.sandbox(f"box {place}") for place in range(number)]
    if model is Sandbox:
        return list(sandboxes)
    operations = [rows.operation(sandbox) for sandbox in sandboxes]
    if model is Operation:
        return list(operations)
    return [rows.call(operation, "stop") for operation in operations]


@pytest.mark.parametrize("model", [Sandbox, Operation, DaytonaCall])
def test_every_field_is_written_as_a_save_would(model: type[Model]) -> None:
    fields = [field for field in model._meta.concrete_fields if field.name not in KEPT]
    found = made(model, 6)
    other = made(model, 1)[0]
    untouched = model._default_manager.filter(pk=other.pk).values().get()
    for place, row in enumerate(found):
        for field in fields:
            setattr(row, field.attname, value_for(field, place))
        if model is Operation:
            row.status = "succeeded" if place % 2 else "failed"
        if model is Sandbox:  # what is gone is deleted, and nothing else
            row.status, row.deleted_at = ("gone", MOMENT) if place % 2 else ("running", None)
    update_each(found, [field.name for field in fields])
    for row in found:
        again = model._default_manager.get(pk=row.pk)
        assert {f.attname: getattr(again, f.attname) for f in fields} == {
            f.attname: getattr(row, f.attname) for f in fields
        }
    assert model._default_manager.filter(pk=other.pk).values().get() == untouched


@pytest.mark.parametrize("model", [SandboxEvent, DaytonaCall])
def test_what_is_inserted_is_as_a_save_would_have_it(model: type[Model]) -> None:
    operations = [rows.operation(rows.sandbox(f"box {place}")) for place in range(6)]
    fields = [field for field in model._meta.concrete_fields if field.name not in KEPT and field.name != "seq"]
    given = [
        {"sandbox": operation.sandbox, "operation": operation}
        | {field.name: value_for(field, place) for field in fields}
        | ({"owner": "alice"} if model is SandboxEvent else {})
        for place, operation in enumerate(operations)
    ]
    for values in given:
        model._default_manager.create(**values)
    saved = list(model._default_manager.order_by("id").values())
    model._default_manager.all().delete()
    insert_each([model(**values) for values in given])
    inserted = list(model._default_manager.order_by("id").values())
    assert [one | {"id": 0} for one in inserted] == [one | {"id": 0} for one in saved]


def test_what_other_fields_hold_is_left() -> None:
    row, other = rows.sandbox("one"), rows.sandbox("two")
    Sandbox.objects.filter(pk=row.pk).update(intent_reason="written meanwhile")
    row.error_reason, row.intent_reason = "new", "not to be written"
    update_each([row], ["error_reason"])
    again = Sandbox.objects.get(pk=row.pk)
    assert (again.error_reason, again.intent_reason) == ("new", "written meanwhile")
    assert Sandbox.objects.get(pk=other.pk).error_reason == other.error_reason


def test_a_foreign_key_is_written_by_its_key() -> None:
    operation = rows.operation(rows.sandbox())
    change = IntentChange.objects.create(
        sandbox=operation.sandbox, at=MOMENT, intent="stopped", actor_kind="owner", actor_id="a",
        from_intent="running", from_actor_kind="owner",
    )  # fmt: skip
    operation.intent_change = change
    update_each([operation], ["intent_change"])
    assert Operation.objects.get().intent_change == change


def test_many_take_one_statement() -> None:
    found = [rows.sandbox(f"box {place}") for place in range(30)]
    for place, row in enumerate(found):
        row.error_reason = f"message {place}"
    with CaptureQueriesContext(connection) as queries:
        update_each(found, ["error_reason", "failures"])
    assert len(queries) == 1
    assert set(Sandbox.objects.values_list("error_reason", flat=True)) == {
        f"message {place}" for place in range(30)
    }


@pytest.mark.parametrize(("number", "fields"), [(0, ["error_reason"]), (1, [])])
def test_nothing_to_write_takes_no_statement(number: int, fields: list[str]) -> None:
    found = [rows.sandbox() for _ in range(number)]
    with CaptureQueriesContext(connection) as queries:
        update_each(found, fields)
        insert_each([])
    assert len(queries) == 0
