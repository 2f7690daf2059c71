"""Usage over time: what may be asked, and what is answered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from sandboxes import clock
from sandboxes.api.fields import ApiText
from sandboxes.api.pagination import DEFAULT_LIMIT, MAX_LIMIT
from sandboxes.api.requests import Query
from sandboxes.core.usage import Measure
from sandboxes.services.usage_history import Period

if TYPE_CHECKING:
    from sandboxes.core.usage import Figures, ToldQuota
    from sandboxes.services.usage_history import UsageLine

# Days that may be asked for, so that an answer has an end.
LONGEST = {Period.HOUR: 7, Period.DAY: 92, Period.MONTH: 1100}
RESOURCES = {Measure.VCPU_QUOTA: "vcpu", Measure.MEMORY_GIB_QUOTA: "memory_gib"}
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


class Moment(serializers.DateTimeField):
    """A moment of UTC: `2026-05-01`, or with a time."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, default_timezone=UTC, **options)

    def to_internal_value(self, value: Any) -> Any:
        try:
            moment = super().to_internal_value(value)
            return moment.astimezone(UTC) if EARLIEST < moment < LATEST else self.fail("overflow")
        except OverflowError:
            self.fail("overflow")


class UsageQuery(Query):
    """`since` and `until` come as `from` and `to`."""

    owner = ApiText(required=False, default="", max_length=255)
    period = serializers.ChoiceField(choices=[one.value for one in Period], required=False, default=Period.DAY)
    after = ApiText(required=False, default="", max_length=255)
    limit = serializers.IntegerField(required=False, default=DEFAULT_LIMIT, min_value=1, max_value=MAX_LIMIT)

    def get_fields(self) -> dict[str, Any]:
        return {"from": Moment(source="since"), "to": Moment(source="until"), **super().get_fields()}

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        now = clock.now()
        data["period"] = Period(data["period"])
        data.setdefault("until", now)
        data.setdefault("since", data["until"].replace(day=1, hour=0, minute=0, second=0, microsecond=0))
        most = LONGEST[data["period"]]
        if not data["since"] <= data["until"] <= data["since"] + timedelta(days=most):
            raise serializers.ValidationError(
                {"to": [f"Not before `from`, and by the {data['period']} at most {most} days after it."]}
            )
        return data


_parameter = partial(OpenApiParameter, location=OpenApiParameter.QUERY)
USAGE_QUERY = (
    _parameter(
        "from",
        OpenApiTypes.DATETIME,
        description="The first hour, in UTC: `2026-05-01`, or with a time. The first of the month if absent.",
    ),
    _parameter("to", OpenApiTypes.DATETIME, description="Up to this hour, not included; now if absent."),
    _parameter(
        "period",
        description="What is summed: `hour` (7 days at most), `day` (92; if absent) or `month`, of UTC.",
        enum=[one.value for one in Period],
    ),
    _parameter("owner", description="Of one owner."),
    _parameter("after", description="Owners after this one; only as it stands in `next`."),
    _parameter("limit", int, description=f"Owners a page, 1 to {MAX_LIMIT}; {DEFAULT_LIMIT} if absent."),
)


class FiguresShape(serializers.Serializer[Any]):
    """What was used in a time, and what happened."""

    sandbox_hours = serializers.FloatField(
        help_text="Hours in which Daytona counted one; divided by those of the time it is how many ran on average."
    )
    vcpu_hours = serializers.FloatField()
    memory_gib_hours = serializers.FloatField()
    evictions = serializers.IntegerField(help_text="How often one was stopped to make room.")
    refusals = serializers.IntegerField(help_text="Operations that ended for lack of room.")
    starts = serializers.IntegerField(help_text="Creates, starts and recovers that ended with one that runs.")
    time_to_running_p50 = serializers.FloatField(
        allow_null=True, help_text="Seconds from the request, exact to a tenth of it."
    )
    time_to_running_p95 = serializers.FloatField(allow_null=True)


class UsageShape(FiguresShape):
    """What one owner's sandboxes of one tier and region used in one period."""

    start = serializers.DateTimeField(help_text="When the period began, in UTC.")
    owner = serializers.CharField()
    tier = serializers.CharField(allow_blank=True)
    target = serializers.CharField(allow_blank=True, help_text="Daytona's region.")


class QuotaShape(serializers.Serializer[Any]):
    """A quota as Daytona told it when it refused a call; it is the last known one until the next of its kind."""

    start = serializers.DateTimeField(help_text="The hour in which it was told, in UTC; it may be before `from`.")
    target = serializers.CharField(allow_blank=True, help_text="Daytona's region.")
    sandbox_class = serializers.CharField()
    resource = serializers.ChoiceField(choices=[(one, one) for one in RESOURCES.values()])
    limit = serializers.IntegerField()


class UsageAnswer(serializers.Serializer[Any]):
    """By owner, then by time, tier and region."""

    results = UsageShape(many=True)
    quotas = QuotaShape(many=True, help_text="Of the organisation, in the order of time; none for a single owner.")
    next = serializers.URLField(allow_null=True, help_text="The next owners; null after the last.")
    known_until = serializers.DateTimeField(allow_null=True, help_text="What came later is not rolled up yet.")


def shown(used: Figures) -> dict[str, Any]:
    return {
        "sandbox_hours": used.sandbox_hours,
        "vcpu_hours": used.vcpu_hours,
        "memory_gib_hours": used.memory_gib_hours,
        "evictions": used.evictions,
        "refusals": used.refusals,
        "starts": used.starts,
        "time_to_running_p50": used.p50,
        "time_to_running_p95": used.p95,
    }


def line_shown(line: UsageLine) -> dict[str, Any]:
    of = {"start": line.start, "owner": line.owner, "tier": line.tier, "target": line.region}
    return of | shown(line.figures)


def quota_shown(told: ToldQuota) -> dict[str, Any]:
    of = {"start": told.start, "target": told.region, "sandbox_class": told.sandbox_class}
    return of | {"resource": RESOURCES[told.measure], "limit": told.limit}
