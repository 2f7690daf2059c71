"""What is shown of a sandbox, as JSON: the facts that a copy of it holds, and which of them have changed.

Left out are the clocks that mere use and every look at it move, and what follows from the rest.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandboxes.core.asked import INTERVALS, differences

if TYPE_CHECKING:
    from sandboxes.models import Sandbox

FOR_STAFF = ("observed_state", "error_reason")  # Daytona's own words
# The API's name: the field's name.
PLAIN = {
    "daytona_id": "daytona_id",
    "name": "display_name",
    "name_known": "name_known",
    "status": "status",
    "status_changed_at": "status_changed_at",
    "intent": "intent",
    "language": "language",
    "tier": "resource_tier",
    "target": "target",
    "ephemeral": "ephemeral",
    "snapshot": "snapshot",
    "harness_id": "harness_id",
    "labels": "user_labels",
    "git_repo": "git_repo",
    "auto_stop_minutes": "auto_stop_minutes",
    "auto_archive_minutes": "auto_archive_minutes",
    "auto_delete_minutes": "auto_delete_minutes",
    "protected_until": "protected_until",
    "protected_reason": "protected_reason",
    "recoverable": "recoverable",
    "observed_state": "observed_state",
    "error_reason": "error_reason",
    "created_at": "created_at",
    "deleted_at": "deleted_at",
}


def facts_of(row: Sandbox) -> dict[str, Any]:
    """All of them, by the names and in the form that the API has for them."""
    return {
        **{name: as_json(getattr(row, field)) for name, field in PLAIN.items()},
        "resources": {"cpu": row.cpu, "memory_gb": row.memory_gb, "disk_gb": row.disk_gb},
        "observed": {f"{name}_minutes": getattr(row, f"observed_{name}") for name in INTERVALS},
        "differences": [
            {"field": one.field, "asked": one.asked, "observed": one.observed, "pending": one.pending}
            for one in differences(row)
        ],
        "intent_set": {
            "by": f"{row.intent_actor_kind}:{row.intent_actor_id}",
            "reason": row.intent_reason,
            "at": as_json(row.intent_at),
            "met_at": as_json(row.intent_met_at),
        },
    }


def changed_facts(row: Sandbox, *, since: dict[str, Any]) -> dict[str, Any]:
    """The new values of those that are not as they were."""
    return {name: value for name, value in facts_of(row).items() if name not in since or since[name] != value}


def as_json(value: Any) -> Any:
    """A moment in the form that the API has for it; whatever else it is, as it is."""
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
