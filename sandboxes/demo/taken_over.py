"""What Daytona has before Sandkeeper is there: the emulator is given it, and a sweep takes it over."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from django.conf import settings

from sandboxes import clock
from sandboxes.demo.plan import Planned, planned
from sandboxes.models import Sandbox
from sandboxes.services import reconcile

if TYPE_CHECKING:
    from collections.abc import Iterable

    import httpx

GIVE_UP_AFTER = 90.0  # seconds: a sweep that was killed keeps its lease for a minute


def find(control: httpx.Client) -> None:
    """Daytona has those of the plan that are found, as the replaced application left them."""
    if _are_missing():
        seed(control, [_in_daytona(one) for one in planned() if one.ending.found])


def take_over(_: httpx.Client) -> None:
    """They get rows here."""
    if _are_missing():
        sweep(reconcile.Options(adopt=True, adopt_unlisted=True))


def _are_missing() -> bool:
    """A second import would take over what is left without a row on purpose."""
    ids = [id_of(one.owner, one.name) for one in planned() if one.ending.found]
    return Sandbox.objects.filter(daytona_id__in=ids).count() < len(ids)


def seed(control: httpx.Client, rows: Iterable[dict[str, Any]]) -> None:
    """Put those into the emulator that it does not have."""
    known = {row["id"] for row in control.get("/state").raise_for_status().json()["sandboxes"]}
    missing = [row for row in rows if row["id"] not in known]
    control.post("/sandboxes", json={"sandboxes": missing}).raise_for_status()


def sweep(options: reconcile.Options | None = None) -> None:
    """One sweep, as soon as no other one is under way."""
    deadline = time.monotonic() + GIVE_UP_AFTER
    while True:
        try:
            reconcile.sweep(options or reconcile.Options())
        except reconcile.SweepUnderWay:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


def id_of(owner: str, name: str) -> str:
    """The same each time, so that nothing is there twice."""
    return str(uuid5(NAMESPACE_URL, f"{owner}/{name}"))


def _in_daytona(one: Planned) -> dict[str, Any]:
    tier, key = settings.TIERS[one.tier], id_of(one.owner, one.name)
    return {
        "id": key, "name": f"{one.name}-{key[:8]}", "target": one.region, "snapshot": tier["snapshot"],
        "cpu": tier["cpu"], "memory": tier["memory_gb"], "disk": tier["disk_gb"], "auto_stop": 0,
        "created_at": _ago(days=one.age_days), "last_activity_at": _ago(minutes=one.idle_minutes),
        "labels": {
            "harness_user_id": one.owner, "harness_name": one.name, "harness_resource_tier": one.tier,
            "code-toolbox-language": one.language,
        },
        **dict(one.ending.found),
    }  # fmt: skip


def _ago(**length: float) -> str:
    return (clock.here() - timedelta(**length)).isoformat()
