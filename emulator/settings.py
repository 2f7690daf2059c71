"""Every switch of the emulator, changed while it runs by `PATCH /_emulator/settings`.

Times are seconds. emulator/README.md describes each in a table.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

ORGANIZATION = "11111111-1111-4111-8111-111111111111"
ALL_PERMISSIONS = ["write:sandboxes", "delete:sandboxes"]


class BadSetting(ValueError):
    """A setting that does not exist or has the wrong type; the text says which."""


def default_snapshots() -> dict[str, dict[str, int]]:
    return {
        "ubuntu:22.04": {"cpu": 1, "memory": 1, "disk": 3},
        "daytona-small": {"cpu": 1, "memory": 1, "disk": 3},
        "daytona-medium": {"cpu": 2, "memory": 4, "disk": 8},
        "daytona-large": {"cpu": 4, "memory": 8, "disk": 10},
    }


@dataclass
class Settings:
    # pace
    transition: float = 0.3
    archive: float = 2.0
    latency: float = 0.0
    hold: float = 30.0
    hand_over: float = 0.015
    race: float = 0.004
    minute: float = 60.0
    cron_every: float = 10.0
    activity_every: float = 5.0
    activity_flush: float = 10.0
    start_timeout: float = 300.0
    create_timeout: float = 900.0
    restore_timeout: float = 1800.0
    recover_cooldown: float = 3600.0
    recoveries: int = 2
    recover_stale: bool = True
    clock_skew: float = 0.0
    backups: bool = False
    # capacity
    quota: dict[str, int] | None = field(
        default_factory=lambda: {"cpu": 250, "memory": 500, "disk": 2000, "gpu": 0}
    )
    quotas: dict[str, dict[str, int]] = field(default_factory=dict)
    per_sandbox: dict[str, int] = field(default_factory=lambda: {"cpu": 4, "memory": 8, "disk": 10})
    usage_lag: float = 0.0
    false_refusals: float = 0.0
    # organisation, keys, inventory
    suspended: str | None = None
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    regions: list[str] = field(default_factory=lambda: ["us", "eu"])
    default_region: str = "us"
    default_snapshot: str = "ubuntu:22.04"
    snapshots: dict[str, dict[str, int]] = field(default_factory=default_snapshots)
    throttles: dict[str, dict[str, float]] = field(default_factory=dict)
    dashboard_url: str = "http://127.0.0.1:53000/dashboard"
    toolbox_url: str = "http://127.0.0.1:54000/toolbox"
    # outages
    runner: str = "ready"
    database: str = "up"
    redis: str = "up"
    key_cache: float = 10.0
    # a list that lies
    list_stale: float = 0.0
    list_flapping: float = 0.0
    list_moving: bool = False
    list_repeating: bool = False
    # Convex
    convex_keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    convex: dict[str, Any] = field(default_factory=dict)

    def change(self, changes: dict[str, Any]) -> None:
        """Apply all changes or, when one is wrong, none. Raises BadSetting."""
        known = {item.name for item in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise BadSetting(f"unknown setting {name!r}; known are {', '.join(sorted(known))}")
            _check(name, value, getattr(self, name))
        for name, value in changes.items():
            setattr(self, name, float(value) if isinstance(getattr(self, name), float) else value)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


# Settings that map names to objects, and what each object must have.
SHAPES = {
    "keys": ("organization", "permissions"),
    "throttles": ("limit", "window"),
    "snapshots": ("cpu", "memory", "disk"),
}
WORDS = {
    "runner": ("ready", "dead", "unresponsive", "none"),
    "database": ("up", "down"),
    "redis": ("up", "down"),
}


def _check(name: str, value: Any, present: Any) -> None:
    if name in WORDS and value not in WORDS[name]:
        raise BadSetting(f"{name} must be one of {', '.join(WORDS[name])}; not {value!r}")
    if name in ("suspended", "quota") and (value is None or present is None):
        return
    wanted = (int, float) if isinstance(present, float) else type(present)
    if not isinstance(value, wanted) or (isinstance(value, bool) and not isinstance(present, bool)):
        raise BadSetting(f"{name} must be a {type(present).__name__}, not {value!r}")
    entries: dict[str, Any] = value if name in SHAPES else {}  # type: ignore[assignment]
    for entry in entries.values():
        missing = [key for key in SHAPES[name] if not isinstance(entry, dict) or key not in entry]
        if missing:
            raise BadSetting(f"each of {name} must have {', '.join(SHAPES[name])}; {missing[0]} is missing")
