"""Which numbers make sense: below the first nothing works, beyond the others a typing error is likely.

`sandboxes/checks.py` reads the table; the settings themselves take whatever is a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandboxes.core.actions import DEADLINES

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class SettingRange:
    """What is usual, of a number of seconds, days or rows. `works_from`: less cannot work."""

    low: float
    high: float
    unit: str
    works_from: float = 0.0


_CALL = SettingRange(0.5, 120, "seconds", works_from=0.1)
_DEADLINE = SettingRange(10, 86_400, "seconds", works_from=1)
_DAYS = SettingRange(1, 3_650, "days")
RANGES: dict[str, SettingRange] = {
    "DAYTONA_CONNECT_TIMEOUT": _CALL,
    "DAYTONA_READ_TIMEOUT": _CALL,
    "CONVEX_CONNECT_TIMEOUT": _CALL,
    "CONVEX_READ_TIMEOUT": _CALL,
    "OBSERVATION_TTL": SettingRange(5, 3_600, "seconds", works_from=1),
    "SWEEP_STALE_SECONDS": SettingRange(60, 7 * 86_400, "seconds", works_from=1),
    "IN_DOUBT_SECONDS": SettingRange(60, 3_600, "seconds"),
    "MISSING_CONFIRM_SECONDS": SettingRange(10, 3_600, "seconds"),
    "RETRY_MAX_SECONDS": SettingRange(1, 3_600, "seconds"),
    "WEBHOOK_TIMEOUT": SettingRange(1, 60, "seconds", works_from=0.1),
    "WEBHOOK_RETRY_SECONDS": SettingRange(3_600, 7 * 86_400, "seconds"),
    "WEBHOOK_DISABLE_SECONDS": SettingRange(86_400, 30 * 86_400, "seconds"),
    "REQUEST_SECONDS": SettingRange(5, 600, "seconds", works_from=1),
    "RECONCILE_PAGE": SettingRange(10, 200, "rows", works_from=1),
    "SANDBOXES_PER_OWNER": SettingRange(1, 100_000, "sandboxes"),
    **{f"DEADLINE_{name.upper()}": _DEADLINE for name in DEADLINES},
    **{
        f"RETAIN_{name}_DAYS": _DAYS
        for name in (
            "AUDIT",
            "DELIVERIES",
            "OPERATIONS",
            "EVENTS",
            "TOMBSTONES",
            "IDEMPOTENCY",
            "NOTICES",
            "SWEEPS",
            "JOBS",
            "USAGE",
        )
    },
}


def value_of(settings: Any, name: str) -> float:
    """What the settings have for a variable."""
    if name.startswith("DEADLINE_"):
        return float(settings.DEADLINES[name.removeprefix("DEADLINE_").lower()])
    if name.startswith("RETAIN_"):
        return float(settings.RETENTION_DAYS[name.removeprefix("RETAIN_").removesuffix("_DAYS").lower()])
    return float(getattr(settings, name))


def unusable(settings: Any) -> Iterator[str]:
    """What cannot work, in words."""
    for name, limit in RANGES.items():
        value = value_of(settings, name)
        if value < limit.works_from:
            yield f"{name} is {value:g}: nothing works in less than {limit.works_from:g} {limit.unit}."


def unusual(settings: Any) -> Iterator[str]:
    """What works, and is hardly meant, in words."""
    for name, limit in RANGES.items():
        value = value_of(settings, name)
        if value >= limit.works_from and not limit.low <= value <= limit.high:
            usual = f"{limit.low:g} to {limit.high:g} {limit.unit}"
            yield f"{name} is {value:g}; usual are {usual}."
