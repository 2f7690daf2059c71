"""What clients may send. Unknown fields are refused by name: a typo is no wish."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from rest_framework import serializers

from sandboxes.api.fields import ApiText, Labels
from sandboxes.api.pagination import DEFAULT_LIMIT, MAX_LIMIT
from sandboxes.api.representations import ACTIONS
from sandboxes.core.actions import ACTIONS as TABLE
from sandboxes.core.labels import MOST, RESERVED
from sandboxes.core.parameters import Parameters
from sandboxes.core.vocabulary import EventKind
from sandboxes.services.lifecycle import RANGES
from sandboxes.services.webhooks import LONGEST_URL

if TYPE_CHECKING:
    from rest_framework.request import Request

    from sandboxes.core.parameters import Described
    from sandboxes.core.vocabulary import Action

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
    if isinstance(field, serializers.DictField):
        values = value.values() if isinstance(value, dict) else ()
        return next((text for item in values if (text := _wrong_type(field.child, item))), "")
    types = next((types for kind, types in JSON_TYPES if isinstance(field, kind)), object)
    return "" if value is None or isinstance(value, types) else str(field.error_messages["invalid"])


def minutes(name: str, help_text: str, **options: Any) -> serializers.IntegerField:
    """An interval; what is in the range and cannot be all the same is the service's to refuse."""
    allowed = RANGES[name]
    return serializers.IntegerField(
        required=False,
        min_value=allowed.least,
        max_value=allowed.most,
        help_text=help_text,
        error_messages=dict.fromkeys(("min_value", "max_value"), allowed.message),
        **options,
    )


NAMES = f"Reserved are names that begin with {', '.join(RESERVED)}."
AUTO_STOP = "Minutes without use until Daytona stops it; 0: never."
AUTO_ARCHIVE = "Minutes after a stop until Daytona archives it; 0: as late as it allows, 43200."
NULL = "null: nobody asks for a value any more; Daytona's stands."
AUTO_DELETE = (
    "Minutes after a stop until Daytona deletes it; -1: never. 0 stands for ephemeral, and is not set here."
)


class Reason(Strict):
    reason = ApiText(
        required=False, default="", allow_blank=True, max_length=500, help_text="Why; shown to people."
    )


class ActionBody(Reason):
    """Why, and what may be said with the action."""

    takes: ClassVar[type[Parameters]] = Parameters

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return super().get_fields() | {name: _field_of(one) for name, one in self.described().items()}

    def described(self) -> dict[str, Described]:
        return self.takes.described()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        said = {name: attrs.pop(name) for name in self.described()}
        return {**attrs, "parameters": self.takes(**said)}


def _field_of(one: Described) -> serializers.Field[Any, Any, Any, Any]:
    if one.kind is bool:
        return serializers.BooleanField(required=False, default=one.default, help_text=one.about)
    return serializers.IntegerField(
        required=False, default=one.default, allow_null=one.default is None, min_value=one.least,
        max_value=one.most, help_text=one.about,
    )  # fmt: skip


def body_of(action: Action) -> type[ActionBody]:
    """What a request for this action may say."""
    own = TABLE[action].parameters
    return ActionBody if own is Parameters else type(f"{own.__name__}Body", (ActionBody,), {"takes": own})


class NothingBody(Strict):
    """An empty object, or no body at all."""


class NewSandbox(Reason):
    name = ApiText(required=False, default="sandbox", max_length=200)
    tier = serializers.ChoiceField(choices=list(settings.TIERS), required=False, default="basic")
    language = serializers.ChoiceField(
        choices=["python", "typescript", "javascript"], required=False, default="python"
    )
    harness_id = ApiText(required=False, default="", allow_blank=True, max_length=255)
    target = serializers.RegexField(
        r"^[A-Za-z0-9._-]{0,100}$",
        required=False,
        default="",
        allow_blank=True,
        help_text="Daytona's region; default: ours.",
    )
    ephemeral = serializers.BooleanField(required=False, default=False, help_text="A stop deletes it.")
    git_repo = ApiText(
        required=False, default="", allow_blank=True, max_length=500, help_text="Kept and shown; cloning is yours."
    )
    labels = Labels(required=False, default=dict, help_text=f"Up to {MOST}, yours to filter by. {NAMES}")
    auto_stop_minutes = minutes("auto_stop", AUTO_STOP, default=15)
    auto_archive_minutes = minutes("auto_archive", AUTO_ARCHIVE, default=10_080)
    auto_delete_minutes = minutes("auto_delete", AUTO_DELETE, default=-1)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["ephemeral"] and attrs["auto_delete_minutes"] != -1:
            raise serializers.ValidationError({"auto_delete_minutes": ["An ephemeral sandbox goes when it stops."]})
        return attrs


class Changes(Strict):
    """What a PATCH may change; what is absent, or as GET gave it, stays."""

    name = ApiText(required=False, max_length=200)
    labels = Labels(
        removable=True,
        required=False,
        allow_null=True,
        help_text=f"Merged into those there are (RFC 7396): null takes one away, or all. {NAMES}",
    )
    auto_stop_minutes = minutes("auto_stop", f"{AUTO_STOP} {NULL}", allow_null=True)
    auto_archive_minutes = minutes("auto_archive", f"{AUTO_ARCHIVE} {NULL}", allow_null=True)
    auto_delete_minutes = minutes("auto_delete", f"{AUTO_DELETE} {NULL}", allow_null=True)
    reapply = serializers.BooleanField(
        required=False, default=False, help_text="Tell Daytona again what was asked for, where it holds otherwise."
    )
    protected_until = serializers.DateTimeField(
        required=False,
        allow_null=True,
        help_text="Never evicted until then; null lifts the protection. At most 30 days ahead, but for staff.",
    )
    reason = ApiText(required=False, default="", allow_blank=True, max_length=500)


class BulkBody(ActionBody):
    """One action for several sandboxes, and what may be said with it."""

    action = serializers.ChoiceField(choices=ACTIONS)
    ids = serializers.ListField(
        child=ApiText(max_length=255),
        min_length=1,
        max_length=MAX_BULK,
        help_text="Ours or Daytona's.",
    )

    def described(self) -> dict[str, Described]:
        """Of all actions; what another than the one that is asked for takes is refused."""
        return {name: one for row in TABLE.values() for name, one in row.parameters.described().items()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        takes = TABLE[attrs["action"]].parameters
        said = {name: attrs.pop(name) for name in self.described()}
        if strange := [name for name in self.initial_data if name in said and name not in takes.described()]:
            raise serializers.ValidationError({name: ["There is no such field."] for name in strange})
        return {**attrs, "parameters": takes(**{name: said[name] for name in takes.described()})}


class EventTypes(serializers.ListField):
    """Which events a webhook is told of."""

    def __init__(self, **options: Any) -> None:
        child = serializers.ChoiceField(choices=EventKind.for_programs())
        super().__init__(child=child, max_length=len(EventKind), help_text="None: all types.", **options)


class NewWebhook(Strict):
    url = ApiText(max_length=LONGEST_URL, help_text="An https address on the public internet.")
    types = EventTypes(required=False, default=list)


class WebhookChanges(Strict):
    """What a PATCH may change; what is absent stays."""

    url = ApiText(required=False, max_length=LONGEST_URL)
    types = EventTypes(required=False)
    enabled = serializers.BooleanField(required=False, help_text="false: nothing is sent, and nothing forgotten.")


class ReplayBody(Strict):
    ids = serializers.ListField(
        child=serializers.UUIDField(), required=False, min_length=1, max_length=MAX_BULK,
        help_text="The `id`s of dead deliveries; all if absent.",
    )  # fmt: skip


class CapacityQuery(Strict):
    sandbox = ApiText(required=False, default="", max_length=255, help_text="To be started; its id.")
    target = serializers.RegexField(
        r"^[A-Za-z0-9._-]{0,100}$", required=False, default="", help_text="A region, without a sandbox."
    )


class Query(serializers.Serializer[Any]):
    """Parameters of an address. One that there is not is refused: a typo would otherwise widen the answer."""

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


class FeedQuery(Query):
    after = serializers.RegexField(r"^(latest|[0-9]{1,18})$", required=False, default="")
    limit = serializers.IntegerField(required=False, default=DEFAULT_LIMIT, min_value=1, max_value=MAX_LIMIT)
    wait = serializers.IntegerField(required=False, default=None, min_value=0, max_value=10**9)
    sandbox = serializers.RegexField(r"^[A-Za-z0-9._:-]{1,255}$", required=False, default="")
    type = serializers.MultipleChoiceField(choices=EventKind.values, required=False, default=set)
