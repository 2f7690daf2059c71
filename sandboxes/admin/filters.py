"""The filters of the sandboxes list. Each is a link, so a filtered list has an address to share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet

from sandboxes import clock
from sandboxes.admin import selectors
from sandboxes.core.causes import Cause
from sandboxes.core.vocabulary import ActorKind, Intent, Status
from sandboxes.models.sandbox import LAST_USED
from sandboxes.models.scope import has_cause, has_drifted, is_stuck

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


class PeriodFilter(ChipFilter):
    """The last hour, day, week or month; or the days from one date to another: `2026-03-01..2026-03-04`."""

    column = ""
    template = "sandboxes/pieces/filter_period.html"

    RANGES: ClassVar[dict[str, tuple[str, timedelta]]] = {
        "hour": ("last hour", HOUR),
        "day": ("last 24 hours", DAY),
        "week": ("last 7 days", 7 * DAY),
        "month": ("last 30 days", 30 * DAY),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(key, label) for key, (label, _) in self.RANGES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.RANGES.get(str(self.value()))
        if chosen is not None:
            return queryset.filter(**{f"{self.column}__gte": clock.here() - chosen[1]})
        first, last = self.days
        if first:
            queryset = queryset.filter(**{f"{self.column}__gte": first})
        return queryset.filter(**{f"{self.column}__lt": last + DAY}) if last else queryset

    @property
    def days(self) -> tuple[datetime | None, datetime | None]:
        """From which day to which, in UTC; None where it is open or no date."""
        first, _, last = str(self.value() or "").partition("..")
        return _day(first), _day(last)

    def choices(self, changelist: Any) -> Any:
        for choice in super().choices(changelist):
            first, last = self.days
            yield choice | {
                "first": first,
                "last": last,
                "name": self.parameter_name,
                "kept": self._kept(changelist),
            }

    def _kept(self, changelist: Any) -> list[tuple[str, str]]:
        """The other parameters, for the form of the dates."""
        return [(name, value) for name, value in changelist.params.items() if name != self.parameter_name]


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None


def period(title: str, parameter: str, column: str) -> type[PeriodFilter]:
    body = {"title": title, "parameter_name": parameter, "column": column}
    return type(f"{parameter.title()}Filter", (PeriodFilter,), body)


class ActorFilter(ChipFilter):
    """Of events and the audit log: by kind, or by one actor, such as `staff:admin`."""

    title, parameter_name = "actor", "actor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        asked = str(request.GET.get("actor", ""))
        kinds = [(kind.value, kind.value) for kind in ActorKind]
        return [*kinds, (asked, asked)] if ":" in asked else kinds

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        asked = str(self.value() or "")
        if not asked:
            return queryset
        return queryset.filter(actor=asked) if ":" in asked else queryset.filter(actor__startswith=f"{asked}:")


class CauseFilter(ChipFilter):
    title, parameter_name = "cause", "cause"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(cause.value, cause.value.replace("_", " ")) for cause in Cause]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        asked = self.value()
        return queryset.filter(has_cause(Cause(asked))) if asked in Cause.values else queryset


class IntentFilter(ValueFilter):
    title, parameter_name, column = "intent", "intent", "intent"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(intent.value, intent.value) for intent in Intent]


class OwnerFilter(ValueFilter):
    """By links alone, such as that of an owner's page."""

    title, parameter_name, column = "owner", "owner", "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        asked = request.GET.get("owner")
        return [(asked, asked)] if asked else []


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


InProgressFilter = question("in progress", "in_progress", selectors.in_progress)
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
    StatusFilter, OwnerFilter, IntentFilter, InProgressFilter, StuckFilter, DriftFilter, LastUsedFilter,
    TierFilter, RegionFilter, BehindFilter, ProtectedFilter, EphemeralFilter,
]  # fmt: skip
