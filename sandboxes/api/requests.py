"""What clients may send. Unknown fields are refused by name: a typo is no wish."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request

from sandboxes.api.pagination import DEFAULT_LIMIT, MAX_LIMIT
from sandboxes.api.representations import ACTIONS
from sandboxes.models import SandboxEvent
from sandboxes.services.lifecycle import MAX_MINUTES

MAX_BULK = 200
INTERVALS = ("auto_stop_minutes", "auto_archive_minutes", "auto_delete_minutes")


# The framework takes 7 for "7" and "on" for true; the schema that we publish does not.
JSON_TYPES: tuple[tuple[type[serializers.Field[Any, Any, Any, Any]], type | tuple[type, ...]], ...] = (
    (serializers.CharField, str),
    (serializers.BooleanField, bool),
    (serializers.IntegerField, (int, float)),
)


class Strict(serializers.Serializer[Any]):
    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = [name for name in data if name not in self.fields]
            if unknown:
                raise serializers.ValidationError({str(name): ["There is no such field."] for name in unknown})
            wrong = {name: _wrong_type(self.fields[name], value) for name, value in data.items()}
            if any(wrong.values()):
                raise serializers.ValidationError({name: [text] for name, text in wrong.items() if text})
        return super().to_internal_value(data)


def _wrong_type(field: serializers.Field[Any, Any, Any, Any], value: Any) -> str:
    if isinstance(field, serializers.ListField):
        items = value if isinstance(value, list) else []
        return next((text for item in items if (text := _wrong_type(field.child, item))), "")
    types = next((types for kind, types in JSON_TYPES if isinstance(field, kind)), object)
    return "" if value is None or isinstance(value, types) else str(field.error_messages["invalid"])


class AutoDelete(serializers.IntegerField):
    """Minutes, or -1. Daytona's 0 makes a sandbox ephemeral, for which there is a field of its own."""

    default_error_messages = {"zero": "-1 (never) or a number above 0; `ephemeral` is a field of its own."}

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=-1, max_value=MAX_MINUTES, help_text="-1: never; 0 is refused.", **options)

    def to_internal_value(self, data: Any) -> int:
        minutes = super().to_internal_value(data)
        if minutes == 0:
            self.fail("zero")
        return minutes


class Reason(Strict):
    reason = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=500, help_text="Why; shown to people."
    )


class ActionBody(Reason):
    force = serializers.BooleanField(
        required=False, default=False, help_text="Let a stop destroy an ephemeral sandbox."
    )


class NothingBody(Strict):
    """An empty object, or no body at all."""


class NewSandbox(Reason):
    name = serializers.CharField(required=False, default="sandbox", max_length=200)
    tier = serializers.ChoiceField(choices=list(settings.TIERS), required=False, default="basic")
    language = serializers.ChoiceField(
        choices=["python", "typescript", "javascript"], required=False, default="python"
    )
    harness_id = serializers.CharField(required=False, default="", allow_blank=True, max_length=255)
    target = serializers.RegexField(
        r"^[A-Za-z0-9._-]{0,100}$",
        required=False,
        default="",
        allow_blank=True,
        help_text="Daytona's region; default: ours.",
    )
    ephemeral = serializers.BooleanField(required=False, default=False, help_text="A stop deletes it.")
    git_repo = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=500, help_text="Kept and shown; cloning is yours."
    )
    auto_stop_minutes = serializers.IntegerField(required=False, default=15, min_value=0, max_value=MAX_MINUTES)
    auto_archive_minutes = serializers.IntegerField(
        required=False, default=10_080, min_value=0, max_value=MAX_MINUTES
    )
    auto_delete_minutes = AutoDelete(required=False, default=-1)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["ephemeral"] and attrs["auto_delete_minutes"] != -1:
            raise serializers.ValidationError({"auto_delete_minutes": ["An ephemeral sandbox goes when it stops."]})
        return attrs


class Changes(Strict):
    """What a PATCH may change; what is absent stays."""

    name = serializers.CharField(required=False, max_length=200)
    auto_stop_minutes = serializers.IntegerField(required=False, min_value=0, max_value=MAX_MINUTES)
    auto_archive_minutes = serializers.IntegerField(required=False, min_value=0, max_value=MAX_MINUTES)
    auto_delete_minutes = AutoDelete(required=False)
    protected_until = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Never evicted until then; null lifts the protection."
    )
    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=500)


class BulkBody(ActionBody):
    action = serializers.ChoiceField(choices=ACTIONS)
    ids = serializers.ListField(
        child=serializers.CharField(max_length=255),
        min_length=1,
        max_length=MAX_BULK,
        help_text="Ours or Daytona's.",
    )


class CapacityQuery(Strict):
    sandbox = serializers.CharField(required=False, default="", max_length=255, help_text="To be started; its id.")
    target = serializers.RegexField(
        r"^[A-Za-z0-9._-]{0,100}$", required=False, default="", help_text="A region, without a sandbox."
    )


class FeedQuery(serializers.Serializer[Any]):
    """The parameters of the feed. One that there is not is refused: a typo would otherwise widen the answer."""

    after = serializers.RegexField(r"^(latest|[0-9]{1,18})$", required=False, default="")
    limit = serializers.IntegerField(required=False, default=DEFAULT_LIMIT, min_value=1, max_value=MAX_LIMIT)
    wait = serializers.IntegerField(required=False, default=None, min_value=0, max_value=10**9)
    sandbox = serializers.RegexField(r"^[A-Za-z0-9._:-]{1,255}$", required=False, default="")
    type = serializers.MultipleChoiceField(choices=SandboxEvent.Kind.values, required=False, default=set)

    @classmethod
    def of(cls, request: Request) -> dict[str, Any]:
        given = cls(data=request.query_params)
        unknown = [name for name in request.query_params if name not in given.fields]
        if unknown:
            raise serializers.ValidationError({name: ["There is no such parameter."] for name in unknown})
        if empty := [name for name, value in request.query_params.items() if not value]:
            raise serializers.ValidationError(
                {name: ["Leave the parameter out, or give it a value."] for name in empty}
            )
        given.is_valid(raise_exception=True)
        return dict(given.validated_data)
