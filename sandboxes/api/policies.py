"""Lifecycle policies: what may be asked and said, and what is answered."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema_serializer
from rest_framework import serializers

from sandboxes.api.documented import page_parameters
from sandboxes.api.fields import ApiText
from sandboxes.api.representations import ACTIONS, ForViewer
from sandboxes.api.requests import Query, Reason
from sandboxes.core.intervals import MAX_MINUTES
from sandboxes.core.policies import MEANINGS
from sandboxes.core.vocabulary import PolicyScope, Rule
from sandboxes.models import Policy

# What a path may have for a policy: `Policy.address`. An owner's id is any readable text.
ADDRESS = r"(?:default|(?:tier|owner|sandbox):[^\x00-\x1f\x7f]{1,255})"
POLICY_ID = OpenApiParameter(
    "policy_id",
    str,
    OpenApiParameter.PATH,
    pattern=f"^{ADDRESS}$",
    description="`default`, or whose it is: `tier:basic`, `owner:user_2abc`, `sandbox:` and our id or Daytona's.",
)
ORDERS = {"changed_at": "changed_at"}
DUE_ORDERS = {"due_at": "policy_due_at"}
FIRST_DUE = "due_at"
LONGEST_PREVIEW, USUAL_PREVIEW = 24 * 366, 24  # hours


class PreviewQuery(Query):
    hours = serializers.FloatField(required=False, default=USUAL_PREVIEW, min_value=0, max_value=LONGEST_PREVIEW)
    owner = ApiText(required=False, default="", max_length=255)
    limit = serializers.CharField(required=False)
    cursor = serializers.CharField(required=False)
    order = serializers.CharField(required=False)


PREVIEW_QUERY = (
    OpenApiParameter(
        "hours",
        float,
        description=f"How far to look ahead, up to {LONGEST_PREVIEW}; {USUAL_PREVIEW} if absent.",
    ),
    OpenApiParameter("owner", description="Of one owner."),
    *page_parameters(DUE_ORDERS, FIRST_DUE),
)


def _rule_field(rule: Rule) -> serializers.IntegerField:
    meaning = MEANINGS[rule]
    return serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=MAX_MINUTES,
        help_text=f"{meaning.action.label} after so many minutes {meaning.words}, {meaning.least} at least; "
        "0: never; null: nothing is said here.",
    )


class PolicyChanges(Reason):
    """What a PATCH says; rules that are absent stay."""

    def get_fields(self) -> dict[str, Any]:
        return {**{f"{rule}_minutes": _rule_field(rule) for rule in Rule}, **super().get_fields()}

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        said = {rule: data[f"{rule}_minutes"] for rule in Rule if f"{rule}_minutes" in data}
        return {"minutes": said, "reason": data["reason"]}


@extend_schema_serializer(component_name="Policy")
class PolicyShape(ForViewer):
    """The rules of one scope, in minutes: null says nothing, 0 says never. The most specific scope wins."""

    id = serializers.CharField(source="address", help_text="Its place among the policies.")
    scope = serializers.ChoiceField(choices=PolicyScope.choices, help_text="The later ones are more specific.")
    subject = serializers.CharField(
        allow_blank=True, help_text="The tier, the owner or our id of the sandbox; empty for `default`."
    )
    changed_at = serializers.DateTimeField(allow_null=True, help_text="null: it never said anything.")
    changed_by = serializers.CharField(required=False, help_text="`<kind>:<id>` (staff).")

    class Meta:
        model = Policy
        fields = [
            "id", "scope", "subject", *(f"{rule}_minutes" for rule in Rule), "changed_at", "changed_by",
        ]  # fmt: skip
        read_only_fields = fields
        for_staff = ("changed_by",)


@extend_schema_serializer(component_name="RuleInForce")
class InForceShape(serializers.Serializer[Any]):
    """A rule that holds for a sandbox."""

    rule = serializers.ChoiceField(choices=Rule.choices)
    action = serializers.ChoiceField(choices=ACTIONS, help_text="What it does.")
    minutes = serializers.IntegerField(help_text="0: never.")
    scope = serializers.ChoiceField(
        choices=PolicyScope.choices, help_text="Of whose policy; the most specific one wins."
    )
    at = serializers.DateTimeField(
        allow_null=True, help_text="When it acts, if nothing changes; null: not as the sandbox is now."
    )


@extend_schema_serializer(component_name="SandboxPolicy")
class SandboxPolicyShape(serializers.Serializer[Any]):
    """All rules that hold for one sandbox, whosever policy says them."""

    sandbox = serializers.UUIDField(help_text="Our id of the sandbox.")
    rules = InForceShape(many=True)


@extend_schema_serializer(component_name="PolicyPreviewLine")
class PreviewShape(serializers.Serializer[Any]):
    """What a rule will do to a sandbox if nothing changes."""

    sandbox = serializers.UUIDField(source="sandbox.pk", help_text="Our id of the sandbox.")
    name = serializers.CharField(source="sandbox.display_name", help_text="For people to read.")
    owner = serializers.CharField(source="sandbox.owner_id")
    action = serializers.ChoiceField(source="due.action", choices=ACTIONS)
    at = serializers.DateTimeField(source="due.at")
    rule = serializers.ChoiceField(source="due.rule", choices=Rule.choices)
    scope = serializers.ChoiceField(source="due.scope", choices=PolicyScope.choices, help_text="Of whose policy.")
    minutes = serializers.IntegerField(source="due.minutes")


class PreviewAnswer(serializers.Serializer[Any]):
    """Whom rules will touch. A page is of so many sandboxes: it may have more lines than `limit`, or none, and
    there be a next one."""

    results = PreviewShape(many=True, help_text="In the order of `at` on this page.")
    next = serializers.URLField(allow_null=True, help_text="The next page; null on the last one.")
    until = serializers.DateTimeField(help_text="How far this looked ahead.")
