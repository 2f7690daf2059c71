"""The filters of the sandboxes list. Each is a link, so a filtered list has an address to share."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Q, QuerySet

from sandboxes import clock
from sandboxes.admin import selectors
from sandboxes.core.vocabulary import Intent, Status
from sandboxes.models.sandbox import LAST_USED
from sandboxes.models.scope import has_drifted, is_stuck

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

    from sandboxes.models import Sandbox

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class ChipFilter(admin.SimpleListFilter):
    template = "sandboxes/pieces/filter.html"


class StatusFilter(ChipFilter):
    """Tombstones are hidden until asked for."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(status.value, status.value) for status in Status] + [("all", "all, gone too")]

    def choices(self, changelist: Any) -> Any:
        choices = list(super().choices(changelist))
        choices[0]["display"] = "existing"
        return iter(choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Sandbox]) -> QuerySet[Sandbox]:
        if self.value() is None:
            return queryset.exclude(status=Status.GONE)
        if self.value() == "all":
            return queryset
        return queryset.filter(status__in=str(self.value()).split(","))


class ValueFilter(ChipFilter):
    """One column, equal to the chosen value."""

    column = ""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Sandbox]) -> QuerySet[Sandbox]:
        return queryset if self.value() is None else queryset.filter(**{self.column: self.value()})


class RequestedFilter(ChipFilter):
    """For the list of operations."""

    title = "requested"
    parameter_name = "requested"

    RANGES = {"hour": ("last hour", HOUR), "day": ("last 24 hours", DAY), "week": ("last 7 days", 7 * DAY)}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(key, label) for key, (label, _) in self.RANGES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.RANGES.get(str(self.value()))
        return queryset if chosen is None else queryset.filter(created_at__gte=clock.here() - chosen[1])


class IntentFilter(ValueFilter):
    title, parameter_name, column = "intent", "intent", "intent"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(intent.value, intent.value) for intent in Intent]


class TierFilter(ValueFilter):
    title, parameter_name, column = "tier", "tier", "resource_tier"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name, _ in selectors.tiers()]


class RegionFilter(ValueFilter):
    title, parameter_name, column = "region", "region", "target"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        asked = request.GET.get("region")
        return [(name, name) for name in sorted({*selectors.regions(), *([asked] if asked else [])})]

    def has_output(self) -> bool:
        return True


class YesNoFilter(ChipFilter):
    """A question about a row."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes"), ("no", "No")]

    def condition(self) -> Q:
        raise AssertionError("a filter says its condition")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Sandbox]) -> QuerySet[Sandbox]:
        if self.value() == "yes":
            return queryset.filter(self.condition())
        return queryset.exclude(self.condition()) if self.value() == "no" else queryset


def question(title: str, parameter: str, condition: Callable[[], Q]) -> type[YesNoFilter]:
    """A YesNoFilter for one condition."""
    name = f"{parameter.title().replace('_', '')}Filter"
    body = {"title": title, "parameter_name": parameter, "condition": lambda _self: condition()}
    return type(name, (YesNoFilter,), body)


InFlightFilter = question("in flight", "in_flight", selectors.in_flight)
DriftFilter = question("not as wanted", "drift", has_drifted)
StuckFilter = question("stuck", "stuck", lambda: is_stuck(clock.here()))
BehindFilter = question("Convex behind", "behind", selectors.behind_convex)
ProtectedFilter = question("protected", "protected", lambda: Q(protected_until__gt=clock.here()))
EphemeralFilter = question("ephemeral", "ephemeral", lambda: Q(ephemeral=True))


class LastUsedFilter(ChipFilter):
    title = "last used"
    parameter_name = "used"

    RANGES: dict[str, tuple[str, timedelta | None, timedelta | None]] = {
        "hour": ("within an hour", HOUR, None),
        "day": ("1 to 24 hours ago", DAY, HOUR),
        "week": ("1 to 7 days ago", 7 * DAY, DAY),
        "month": ("7 to 30 days ago", 30 * DAY, 7 * DAY),
        "older": ("longer ago", None, 30 * DAY),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(key, label) for key, (label, _, _) in self.RANGES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Sandbox]) -> QuerySet[Sandbox]:
        chosen = self.RANGES.get(str(self.value()))
        if chosen is None:
            return queryset
        _, not_before, before = chosen
        now = clock.here()
        queryset = queryset.alias(last_used=LAST_USED)
        if not_before is not None:
            queryset = queryset.filter(last_used__gte=now - not_before)
        return queryset if before is None else queryset.filter(last_used__lt=now - before)


class OwnerHoldFilter(ChipFilter):
    """For the list of owners."""

    title = "on hold"
    parameter_name = "hold"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes"), ("no", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset if self.value() is None else queryset.filter(hold_since__isnull=self.value() == "no")


SANDBOX_FILTERS = [
    StatusFilter, IntentFilter, InFlightFilter, StuckFilter, DriftFilter, LastUsedFilter, TierFilter, RegionFilter,
    BehindFilter, ProtectedFilter, EphemeralFilter,
]  # fmt: skip
