"""What clients are shown. Daytona's and Convex's own words are for staff; clients get codes with a remedy."""

from __future__ import annotations

import copy
from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from sandboxes import clock
from sandboxes.api.conditions import etag_of
from sandboxes.core import asked
from sandboxes.core.actions import parameters_of
from sandboxes.core.causes import Cause
from sandboxes.core.codes import MEANINGS, Code
from sandboxes.core.policies import DAYTONA, first
from sandboxes.core.vocabulary import Action, EventKind, OperationStatus, PolicyScope, Rule, Status
from sandboxes.models import Delivery, Operation, Receiver, Sandbox
from sandboxes.services import feed, lifecycle, policies
from sandboxes.services.facts import FOR_STAFF

MOMENT = serializers.DateTimeField(allow_null=True)
ACTIONS = [action.value for action in Action if action != Action.CREATE]
RULES, SCOPES = [*Rule.values, *asked.INTERVALS], [*PolicyScope.values, DAYTONA]  # ours, and Daytona's intervals


_made: dict[type, dict[str, serializers.Field[Any, Any, Any, Any]]] = {}


class ForViewer(serializers.ModelSerializer[Any]):
    """Leaves out the fields of `Meta.for_staff` unless the caller is staff."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Made from the model once; to make them anew takes longer than to show a row."""
        made = _made.get(type(self))
        if made is None:
            made = _made.setdefault(type(self), super().get_fields())
        principal = self.context.get("principal")  # the schema has none, and shows all
        is_hidden = principal is not None and not principal.is_staff
        hidden = getattr(self.Meta, "for_staff", ()) if is_hidden else ()
        return {name: copy.deepcopy(field) for name, field in made.items() if name not in hidden}


@extend_schema_serializer(component_name="Operation")
class OperationShape(ForViewer):
    """One requested action, in flight or finished."""

    sandbox = serializers.UUIDField(source="sandbox_id", help_text="Our id of the sandbox.")
    daytona_id = serializers.CharField(source="sandbox.daytona_id", allow_null=True)
    owner = serializers.CharField(source="sandbox.owner_id")
    actor = serializers.SerializerMethodField(help_text="Who asked: `<kind>:<id>`.")
    caused_by = serializers.UUIDField(
        source="caused_by_id", required=False, allow_null=True, help_text="The operation it was done for (staff)."
    )
    force = serializers.SerializerMethodField(help_text="Whether it may destroy the sandbox.")
    parameters = serializers.DictField(
        help_text="What was said with it, by the names in the request; what is as by default is left out."
    )
    title = serializers.SerializerMethodField(help_text="What `code` means; empty without one.")
    remedy = serializers.SerializerMethodField(help_text="What to do about it; empty without a code.")
    message = serializers.CharField(required=False, help_text="Daytona's or Convex's words (staff).")

    class Meta:
        model = Operation
        fields = [
            "id", "sandbox", "daytona_id", "owner", "action", "status", "step", "actor", "source", "reason",
            "force", "parameters", "request_id", "caused_by", "attempt", "code", "title", "remedy", "message",
            "created_at", "started_at", "finished_at", "deadline",
        ]  # fmt: skip
        read_only_fields = fields
        for_staff = ("message", "caused_by")

    def get_actor(self, row: Operation) -> str:
        return f"{row.actor_kind}:{row.actor_id}"

    def get_force(self, row: Operation) -> bool:
        return parameters_of(row.action, row.parameters).force

    def get_title(self, row: Operation) -> str:
        return MEANINGS[Code(row.code)].title if row.code else ""

    def get_remedy(self, row: Operation) -> str:
        return MEANINGS[Code(row.code)].remedy if row.code else ""


@extend_schema_serializer(component_name="IntentSet")
class IntentShape(serializers.ModelSerializer[Sandbox]):
    """What was last asked for, by whom and why, and since when it is so."""

    by = serializers.SerializerMethodField(help_text="`<kind>:<id>`.")
    reason = serializers.CharField(source="intent_reason")
    at = serializers.DateTimeField(source="intent_at", allow_null=True)
    met_at = serializers.DateTimeField(
        source="intent_met_at", allow_null=True, help_text="When it first came true; null while it has not."
    )

    class Meta:
        model = Sandbox
        fields = ["by", "reason", "at", "met_at"]
        read_only_fields = fields

    def get_by(self, row: Sandbox) -> str:
        return f"{row.intent_actor_kind}:{row.intent_actor_id}"


@extend_schema_serializer(component_name="Resources")
class ResourcesShape(serializers.ModelSerializer[Sandbox]):
    """As Daytona granted them."""

    class Meta:
        model = Sandbox
        fields = ["cpu", "memory_gb", "disk_gb"]
        read_only_fields = fields


@extend_schema_serializer(component_name="ObservedIntervals")
class ObservedShape(serializers.ModelSerializer[Sandbox]):
    """What Daytona holds, as a GET last said; null while it has not said."""

    auto_stop_minutes = serializers.IntegerField(source="observed_auto_stop", allow_null=True)
    auto_archive_minutes = serializers.IntegerField(source="observed_auto_archive", allow_null=True)
    auto_delete_minutes = serializers.IntegerField(source="observed_auto_delete", allow_null=True)

    class Meta:
        model = Sandbox
        fields = ["auto_stop_minutes", "auto_archive_minutes", "auto_delete_minutes"]
        read_only_fields = fields


@extend_schema_serializer(component_name="Difference")
class DifferenceShape(serializers.Serializer[Any]):
    """One setting that Daytona holds otherwise than it was asked for."""

    field = serializers.CharField(help_text="Its name here; `labels.<name>` for a label.")
    asked = serializers.JSONField(help_text="A number or a text.")
    observed = serializers.JSONField(help_text="A number, a text, or null where Daytona has none.")
    pending = serializers.BooleanField(help_text="A change is on its way that will end it.")


@extend_schema_serializer(component_name="Foreseen")
class ForeseenShape(serializers.Serializer[Any]):
    """What will be done: by a rule of a lifecycle policy, or by one of Daytona's own intervals."""

    rule = serializers.ChoiceField(choices=RULES)
    scope = serializers.ChoiceField(choices=SCOPES, help_text="Of whose policy; the most specific one wins.")
    minutes = serializers.IntegerField()


@extend_schema_serializer(component_name="Sandbox")
class SandboxShape(ForViewer):
    """One sandbox. Its rows carry `active`: the list of its one active operation, or nothing."""

    name = serializers.CharField(source="display_name", help_text="For people to read.")
    name_known = serializers.BooleanField(
        help_text="Whether a person gave it its name; false: `name` is Daytona's name or id."
    )
    owner = serializers.CharField(source="owner_id")
    tier = serializers.CharField(source="resource_tier")
    labels = serializers.DictField(
        source="user_labels", child=serializers.CharField(), help_text="Those that people gave it."
    )
    intent_set = IntentShape(source="*")
    resources = ResourcesShape(source="*")
    observed = ObservedShape(source="*")
    differences = serializers.SerializerMethodField(help_text="What Daytona holds otherwise than asked for.")
    stops_at = serializers.SerializerMethodField(
        help_text="When it will be stopped, if nothing changes; null: never."
    )
    stops_by = serializers.SerializerMethodField(help_text="What stops it then.")
    archives_at = serializers.SerializerMethodField(help_text="When it will be archived; null: not for now.")
    archives_by = serializers.SerializerMethodField(help_text="What archives it then.")
    deletes_at = serializers.SerializerMethodField(help_text="When it will be deleted; null: not for now.")
    deletes_by = serializers.SerializerMethodField(help_text="What deletes it then.")
    operation = serializers.SerializerMethodField(help_text="The active operation, or null.")
    allowed_actions = serializers.SerializerMethodField(help_text="What a request would accept now, without force.")
    observed_state = serializers.CharField(required=False, help_text="Daytona's own word (staff).")
    error_reason = serializers.CharField(required=False, help_text="Daytona's words on an error (staff).")
    convex_error = serializers.CharField(
        source="projection.error", required=False, help_text="Convex's words on a refused push (staff)."
    )
    etag = serializers.SerializerMethodField(
        help_text="For If-Match; of all but the times of use, looks and updates, and what follows from them or "
        "from Daytona: `observed`, `differences`, `stops_at` and its like."
    )

    class Meta:
        model = Sandbox
        fields = [
            "id", "daytona_id", "name", "name_known", "owner", "status", "status_changed_at", "intent",
            "intent_set",
            "operation", "allowed_actions", "language", "tier", "resources", "target", "ephemeral", "snapshot",
            "harness_id", "git_repo", "labels", "auto_stop_minutes", "auto_archive_minutes", "auto_delete_minutes",
            "observed", "differences", "protected_until", "protected_reason", "stops_at", "stops_by",
            "archives_at", "archives_by", "deletes_at", "deletes_by", "last_accessed_at",
            "last_activity_at", "observed_at", "recoverable", "observed_state", "error_reason", "convex_error",
            "created_at", "updated_at", "deleted_at", "etag",
        ]  # fmt: skip
        read_only_fields = fields
        for_staff = (*FOR_STAFF, "convex_error")

    def to_representation(self, instance: Any) -> dict[str, Any]:
        instance.foreseen = policies.forecast(instance, now=clock.here())
        shown = super().to_representation(instance)
        return shown | {"etag": etag_of(shown)}

    def get_etag(self, row: Sandbox) -> str:
        return ""  # it is of the whole: made at last

    @extend_schema_field(MOMENT)
    def get_stops_at(self, row: Sandbox) -> str | None:
        return _moment(row, Action.STOP)

    @extend_schema_field(ForeseenShape(allow_null=True))
    def get_stops_by(self, row: Sandbox) -> dict[str, Any] | None:
        return _rule(row, Action.STOP)

    @extend_schema_field(MOMENT)
    def get_archives_at(self, row: Sandbox) -> str | None:
        return _moment(row, Action.ARCHIVE)

    @extend_schema_field(ForeseenShape(allow_null=True))
    def get_archives_by(self, row: Sandbox) -> dict[str, Any] | None:
        return _rule(row, Action.ARCHIVE)

    @extend_schema_field(MOMENT)
    def get_deletes_at(self, row: Sandbox) -> str | None:
        return _moment(row, Action.DELETE)

    @extend_schema_field(ForeseenShape(allow_null=True))
    def get_deletes_by(self, row: Sandbox) -> dict[str, Any] | None:
        return _rule(row, Action.DELETE)

    @extend_schema_field(OperationShape(allow_null=True))
    def get_operation(self, row: Sandbox) -> dict[str, Any] | None:
        active = _active(row)
        if active is None:
            return None
        active.sandbox = row  # spares the query for what is here already
        return dict(OperationShape(active, context=self.context).data)

    @extend_schema_field(DifferenceShape(many=True))
    def get_differences(self, row: Sandbox) -> list[dict[str, Any]]:
        return list(DifferenceShape(asked.differences(row), many=True).data)

    @extend_schema_field(serializers.ListField(child=serializers.ChoiceField(choices=ACTIONS)))
    def get_allowed_actions(self, row: Sandbox) -> list[str]:
        return lifecycle.allowed_actions(row, active=_active(row), on_hold=row.owner.on_hold)


def _moment(row: Sandbox, action: Action) -> str | None:
    due = first(row.foreseen, action)  # type: ignore[attr-defined]
    return MOMENT.to_representation(due.at) if due else None


def _rule(row: Sandbox, action: Action) -> dict[str, Any] | None:
    due = first(row.foreseen, action)  # type: ignore[attr-defined]
    return dict(ForeseenShape(due).data) if due else None


def _active(row: Sandbox) -> Operation | None:
    active: list[Operation] = row.active  # type: ignore[attr-defined]
    return active[0] if active else None


@extend_schema_serializer(component_name="Event")
class EventShape(serializers.Serializer[Any]):
    """One line of a sandbox's timeline, and one entry of the feed."""

    seq = serializers.IntegerField(allow_null=True, help_text="Its place in the feed; null for a moment at first.")
    at = serializers.DateTimeField()
    type = serializers.ChoiceField(choices=EventKind.values)
    sandbox = serializers.UUIDField(help_text="Our id of the sandbox.")
    owner = serializers.CharField(allow_blank=True, help_text="Whose the sandbox was then: who may read it.")
    cause = serializers.ChoiceField(choices=Cause.choices, help_text="Why it happened, as far as we know.")
    actor = serializers.CharField(allow_blank=True, help_text="`<kind>:<id>`; empty where nobody asked.")
    operation = serializers.UUIDField(allow_null=True)
    status = serializers.ChoiceField(
        choices=OperationStatus.choices,
        allow_null=True,
        help_text="The operation's, in an event of the type `operation`.",
    )
    code = serializers.CharField(allow_blank=True, help_text="How the operation ended; empty otherwise.")
    message = serializers.CharField(help_text="For people.")
    changes = serializers.DictField(help_text="What a copy of the sandbox must take over, by name.")
    data = serializers.DictField(required=False, help_text="Details (staff).")  # type: ignore[assignment]

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return feed.shown(instance, for_staff=self.context["principal"].is_staff)


@extend_schema_serializer(component_name="Webhook")
class WebhookShape(serializers.ModelSerializer[Receiver]):
    """Where a program is told of events."""

    types = serializers.ListField(
        source="kinds",
        child=serializers.ChoiceField(choices=EventKind.for_programs()),
        help_text="None: all types.",
    )
    enabled = serializers.SerializerMethodField(help_text="Whether anything is sent.")
    failing_since = serializers.DateTimeField(
        allow_null=True, help_text="Since when it has taken nothing; null while all is well."
    )
    position = serializers.IntegerField(
        help_text="How far in the feed it is: all later events are still to be sent."
    )

    class Meta:
        model = Receiver
        fields = [
            "id", "url", "types", "owner", "enabled", "disabled_at", "disabled_reason", "failing_since", "position",
            "created_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_enabled(self, row: Receiver) -> bool:
        return row.disabled_at is None


@extend_schema_serializer(component_name="NewWebhook")
class NewWebhookShape(WebhookShape):
    """A webhook with its secret, which no other answer has."""

    secret = serializers.CharField(help_text="What its deliveries are signed with.")

    class Meta(WebhookShape.Meta):
        fields = [*WebhookShape.Meta.fields, "secret"]


class Replayed(serializers.Serializer[Any]):
    replayed = serializers.IntegerField(help_text="Deliveries that are tried once more.")


@extend_schema_serializer(component_name="DeadDelivery")
class DeadDeliveryShape(serializers.ModelSerializer[Delivery]):
    """An event that could not be delivered within a day."""

    webhook_id = serializers.CharField(source="message", help_text="As in the header `webhook-id`.")
    seq = serializers.IntegerField(source="number", help_text="The event's place in the feed.")
    sandbox = serializers.UUIDField(source="stream", help_text="Our id of the sandbox.")
    attempts = serializers.IntegerField(source="attempt")

    class Meta:
        model = Delivery
        fields = ["id", "webhook_id", "seq", "sandbox", "attempts", "error", "first_at", "died_at"]
        read_only_fields = fields


class InUse(serializers.Serializer[Any]):
    """What Daytona counts against the quota of one region and class."""

    target = serializers.CharField()
    sandbox_class = serializers.CharField()
    sandboxes = serializers.IntegerField()
    in_use_cpu = serializers.IntegerField()
    in_use_memory_gb = serializers.IntegerField()
    own_sandboxes = serializers.IntegerField()
    own_cpu = serializers.IntegerField()
    own_memory_gb = serializers.IntegerField()


class Ranked(serializers.Serializer[Any]):
    """One candidate; it may be stopped, or archived, if it breaks no rule."""

    sandbox = serializers.UUIDField()
    name = serializers.CharField()
    owner = serializers.CharField()
    status = serializers.ChoiceField(choices=Status.choices)
    cpu = serializers.IntegerField()
    memory_gb = serializers.IntegerField()
    disk_gb = serializers.IntegerField()
    last_used_at = serializers.DateTimeField()
    broken = serializers.ListField(child=serializers.CharField())


class Next(serializers.Serializer[Any]):
    own = Ranked(many=True, help_text="In the order in which they would make room.")
    others = serializers.DictField(child=serializers.IntegerField(), help_text="Other owners', counted per rule.")


@extend_schema_serializer(component_name="Owner")
class OwnerShape(serializers.Serializer[Any]):
    """What an owner has and may have: what a create would be refused for."""

    id = serializers.CharField()
    used = serializers.IntegerField(help_text="Sandboxes that count: all that are not gone.")
    limit = serializers.IntegerField(help_text="At so many a create is `sandbox_limit_reached`.")
    on_hold = serializers.BooleanField(help_text="Nothing of theirs starts: `owner_on_hold`.")
    hold_reason = serializers.CharField(allow_blank=True, help_text="For the owner to read; may be empty.")


class CapacityAnswer(serializers.Serializer[Any]):
    owner = OwnerShape(allow_null=True, help_text="Whom the call is for; null for nobody in particular.")
    in_use = InUse(many=True)
    last_refusal = OperationShape(allow_null=True)
    next = Next(help_text="Who would be stopped for vCPU or memory.")
    next_archived = Next(help_text="Who would be archived for disk; nobody where the server does not do that.")
