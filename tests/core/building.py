"""Facts for tests of the core: a quiet sandbox, changed by what is named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sandboxes.core.facts import (
    Answer,
    CallFacts,
    Facts,
    Fetched,
    Limits,
    OperationFacts,
    RemoteSandbox,
    SandboxFacts,
)
from sandboxes.core.parameters import Parameters
from sandboxes.core.resources import Resource
from sandboxes.core.vocabulary import Action, CallOutcome, Intent, OperationStatus, Source, Status

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SANDBOX, OPERATION, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)
DEADLINES = {
    "create": 900.0, "start": 300.0, "start_archived": 1800.0, "stop": 300.0, "restart": 600.0, "archive": 3600.0,
    "recover": 600.0, "sync": 60.0, "capacity": 900.0,
}  # fmt: skip
LIMITS = Limits(
    read_cache=10.0, in_doubt=300.0, missing_confirm=60.0, intent_retry=5.0, retry_base=0.25,
    convex_first_push=60.0, deadlines=DEADLINES, room_for=frozenset(Resource),
)  # fmt: skip


def at(seconds: float) -> datetime:
    """So many seconds after NOW; before it when negative."""
    return NOW + timedelta(seconds=seconds)


def sandbox(state: str = "started", **fields: Any) -> SandboxFacts:
    """One that Daytona says this of since a minute, with its intent met."""
    values: dict[str, Any] = {
        "id": SANDBOX, "daytona_id": "d-1", "daytona_name": f"atlas-{SANDBOX.hex[:12]}", "organization_id": "org",
        "name": "atlas", "owner_id": "alice", "harness_id": "", "language": "python", "resource_tier": "basic",
        "cpu": 1, "memory_gb": 1, "disk_gb": 3, "target": "eu", "sandbox_class": "container", "ephemeral": False,
        "snapshot": "", "labels": {}, "user_labels": {}, "auto_stop_minutes": None, "auto_archive_minutes": None,
        "auto_delete_minutes": None, "created_with": {}, "intent": Intent.RUNNING, "intent_actor_kind": "owner",
        "intent_actor_id": "alice", "intent_reason": "", "intent_at": at(-3600), "intent_met_at": at(-3000),
        "observed_state": state, "desired_state": state, "error_reason": "", "recoverable": False,
        "observed_auto_stop": 15, "observed_auto_archive": 10080, "observed_auto_delete": -1,
        "last_activity_at": None, "touch_forwarded_at": None, "observed_at": at(-60), "fetch_due_at": None,
        "missing_since": None, "last_accessed_at": None, "protected_until": None, "policies_from": None,
        "policy_due_at": None, "policy_warnings": {},
        "status": Status.RUNNING, "status_changed_at": at(-3000), "pending_changes": {}, "created_at": at(-7200),
        "deleted_at": None,
    }  # fmt: skip
    return SandboxFacts(**(values | fields))


def operation(action: str = Action.STOP, **fields: Any) -> OperationFacts:
    """One that was requested a second ago."""
    values: dict[str, Any] = {
        "id": OPERATION, "action": action, "status": OperationStatus.QUEUED, "source": Source.API,
        "actor_kind": "owner", "actor_id": "alice", "parameters": Parameters(), "step": "queued", "attempt": 0,
        "due_at": NOW, "attempted_at": None, "deadline": at(299), "deadline_runs": True, "search": None,
        "code": "", "message": "", "created_at": at(-1), "started_at": None, "finished_at": None,
    }  # fmt: skip
    return OperationFacts(**(values | fields))


def call(name: str, seconds: float = -5, outcome: str = CallOutcome.ACCEPTED, **fields: Any) -> CallFacts:
    """One that was made so many seconds before NOW."""
    doubt = at(seconds + 300) if outcome in (CallOutcome.PENDING, CallOutcome.UNKNOWN) else None
    values: dict[str, Any] = {
        "operation_id": OPERATION, "name": name, "made_at": at(seconds), "first_at": at(seconds),
        "outcome": outcome, "in_doubt_until": doubt, "id": 1,
    }  # fmt: skip
    return CallFacts(**(values | fields))


def remote(state: str = "started", **fields: Any) -> RemoteSandbox:
    """What Daytona answers of it."""
    values: dict[str, Any] = {
        "id": "d-1", "organization_id": "org", "name": f"atlas-{SANDBOX.hex[:12]}", "target": "eu", "snapshot": "",
        "cpu": 1, "memory_gb": 1, "disk_gb": 3, "state": state, "desired_state": state, "error_reason": "",
        "recoverable": False, "auto_stop_interval": 15, "auto_archive_interval": 10080, "auto_delete_interval": -1,
        "sandbox_class": "container", "labels": {}, "created_at": None,
        "last_activity_at": None,
    }  # fmt: skip
    return RemoteSandbox(**(values | fields))


def fetched(state: str = "started", *, started: datetime = NOW, **fields: Any) -> Fetched:
    return Fetched(started, remote(state, **fields))


def facts(
    answer: Answer,
    *,
    of: SandboxFacts | None = None,
    operation: OperationFacts | None = None,
    now: datetime = NOW,
    **fields: Any,
) -> Facts:
    return Facts(
        sandbox=of or sandbox(), operation=operation, answer=answer, now=now,
        **{"limits": LIMITS, "jitter": 1.0, **fields},
    )  # fmt: skip
