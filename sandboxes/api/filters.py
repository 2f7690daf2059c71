"""What lists can be filtered by. A parameter nobody knows is refused: a typo would otherwise widen the answer."""

from __future__ import annotations

import re
from datetime import UTC
from typing import TYPE_CHECKING, Any
from uuid import UUID

import django_filters
from django import forms
from django.db.models import Q, QuerySet
from rest_framework.exceptions import ValidationError

from sandboxes.api.pagination import PARAMETERS
from sandboxes.core.labels import NAME
from sandboxes.core.vocabulary import Action, Intent, OperationStatus, PolicyScope, Status
from sandboxes.models import Operation, Policy, Sandbox

if TYPE_CHECKING:
    from rest_framework.request import Request

TRIGRAM = 3


class MomentField(django_filters.fields.IsoDateTimeField):
    def clean(self, value: Any) -> Any:
        moment = super().clean(value)
        try:
            return moment and moment.astimezone(UTC)
        except OverflowError:
            raise forms.ValidationError("A moment of the years 1 to 9999 (UTC).") from None


class MomentFilter(django_filters.IsoDateTimeFilter):
    field_class = MomentField


class Several(django_filters.MultipleChoiceFilter):
    """Any of several values of the row itself: no row comes twice, so nothing is sorted to find that out."""

    def __init__(self, **options: Any) -> None:
        super().__init__(distinct=False, **options)


class LabelsField(forms.MultipleChoiceField):
    """`name:value`, which may be given several times."""

    def valid_value(self, value: str) -> bool:
        name, _, held = value.partition(":")
        return bool(NAME.fullmatch(name) and held) and "\0" not in held

    def clean(self, value: Any) -> list[tuple[str, str]]:
        pairs = [str(one).partition(":") for one in super().clean(value)]
        return [(name, held) for name, _, held in pairs]


class LabelsFilter(Several):
    field_class = LabelsField

    def filter(self, rows: QuerySet[Sandbox], value: list[tuple[str, str]]) -> QuerySet[Sandbox]:
        return rows.labelled(value) if value else rows  # type: ignore[attr-defined]


class SandboxFilter(django_filters.FilterSet):
    status = Several(
        choices=Status.choices, help_text="May be given several times. Without it, `gone` ones are left out."
    )
    intent = Several(choices=Intent.choices, help_text="What was last asked for.")
    owner = django_filters.CharFilter(field_name="owner_id", help_text="An owner's id.")
    harness_id = django_filters.CharFilter(help_text="The harness that it is linked to.")
    tier = django_filters.CharFilter(field_name="resource_tier", help_text="Its size by name.")
    target = django_filters.CharFilter(help_text="Daytona's region.")
    label = LabelsFilter(
        choices=(),
        error_messages={"invalid_choice": "Write name:value."},
        help_text="`name:value`, the whole of both. May be given several times: all of them hold.",
    )
    updated_since = MomentFilter(
        field_name="updated_at",
        lookup_expr="gte",
        help_text="Changed at or after this time, `gone` ones included: with `order=updated_at` a feed of changes "
        "(mere use is none: it moves `last_accessed_at` alone).",
    )
    q = django_filters.CharFilter(
        method="search",
        max_length=200,
        help_text="Part of the name, or an id. Fewer than three letters or digits: the start of the name.",
    )

    class Meta:
        model = Sandbox
        fields: list[str] = []

    def search(self, rows: QuerySet[Sandbox], _name: str, text: str) -> QuerySet[Sandbox]:
        # Shorter than what the index of parts of names is made of.
        lookup = "icontains" if len(re.findall(r"\w", text)) >= TRIGRAM else "istartswith"
        return rows.filter(Q(**{f"name__{lookup}": text}) | Q(daytona_id=text) | Q(pk__in=_uuids(text)))

    def filter_queryset(self, queryset: QuerySet[Sandbox]) -> QuerySet[Sandbox]:
        rows: QuerySet[Sandbox] = super().filter_queryset(queryset)
        asked = self.form.cleaned_data
        return rows if asked["status"] or asked["updated_since"] else rows.exclude(status=Status.GONE)


class OperationFilter(django_filters.FilterSet):
    status = Several(choices=OperationStatus.choices, help_text="May be given several times.")
    action = Several(choices=Action.choices, help_text="May be given several times.")
    owner = django_filters.CharFilter(field_name="sandbox__owner_id", help_text="An owner's id.")
    code = django_filters.CharFilter(help_text="How it ended.")
    request_id = django_filters.CharFilter(help_text="The X-Request-ID of the request that asked for it.")
    created_since = MomentFilter(
        field_name="created_at", lookup_expr="gte", help_text="Asked for at or after this time."
    )

    class Meta:
        model = Operation
        fields: list[str] = []


class PolicyFilter(django_filters.FilterSet):
    scope = Several(choices=PolicyScope.choices, help_text="May be given several times.")
    subject = django_filters.CharFilter(help_text="A tier, an owner's id, or our id of a sandbox.")

    class Meta:
        model = Policy
        fields: list[str] = []


def several(filters: type[django_filters.FilterSet] | None) -> frozenset[str]:
    """The parameters that may be given several times."""
    known = filters.base_filters if filters else {}
    return frozenset(n for n, one in known.items() if isinstance(one, django_filters.MultipleChoiceFilter))


def filtered(
    filters: type[django_filters.FilterSet] | None, request: Request, rows: QuerySet[Any]
) -> QuerySet[Any]:
    """The rows that the query asks for.

    Raises:
        ValidationError: for a value that does not fit and for a parameter that there is not.
    """
    known = PARAMETERS | set(filters.base_filters if filters else ())
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        raise ValidationError({name: ["There is no such parameter."] for name in unknown})
    if empty := [name for name, value in request.query_params.items() if not value]:
        raise ValidationError({name: ["Leave the parameter out, or give it a value."] for name in empty})
    if filters is None:
        return rows
    found = filters(request.query_params, queryset=rows, request=request)
    if not found.is_valid():
        raise ValidationError(found.errors)
    return found.qs


def _uuids(text: str) -> list[str]:
    try:
        return [str(UUID(text))]
    except ValueError:
        return []
