"""One example of every body that is sent and answered, by its shape; a test holds them to the schema."""

from __future__ import annotations

from typing import Any

from sandboxes.core.codes import MEANINGS, Code

SANDBOX_ID = "9f0c2c9e-5b0e-4f0b-8a55-0d4c1d6c7a10"
OPERATION_ID = "6a0f64c1-93a5-4a0c-9a3e-0c6f6f2f6b1d"
ACTOR = "service:agent-runtime"
MOMENT = "2026-05-04T12:00:00Z"

QUEUED: dict[str, Any] = {
    "id": OPERATION_ID,
    "sandbox": SANDBOX_ID,
    "daytona_id": "d3b1f0a4-7d53-4c5e-a0e1-6a2f6f0c9e11",
    "owner": "user_2abc",
    "action": "start",
    "status": "queued",
    "step": "queued",
    "actor": ACTOR,
    "source": "api",
    "reason": "a tool call",
    "force": False,
    "parameters": {},
    "request_id": "6f1c0c5f9c1e4a0f",
    "attempt": 0,
    "code": "",
    "title": "",
    "remedy": "",
    "created_at": MOMENT,
    "started_at": None,
    "finished_at": None,
    "deadline": "2026-05-04T12:01:00Z",
}
ENDED = QUEUED | {
    "status": "succeeded",
    "step": "",
    "attempt": 1,
    "started_at": MOMENT,
    "finished_at": "2026-05-04T12:00:02Z",
}
SANDBOX: dict[str, Any] = {
    "id": SANDBOX_ID,
    "daytona_id": QUEUED["daytona_id"],
    "name": "atlas",
    "name_known": True,
    "owner": "user_2abc",
    "status": "running",
    "status_changed_at": MOMENT,
    "intent": "running",
    "intent_set": {"by": "owner:user_2abc", "reason": "", "at": MOMENT, "met_at": "2026-05-04T12:00:02Z"},
    "operation": None,
    "allowed_actions": ["stop", "archive", "delete", "sync"],
    "language": "python",
    "tier": "basic",
    "resources": {"cpu": 1, "memory_gb": 1, "disk_gb": 3},
    "target": "us",
    "ephemeral": False,
    "snapshot": "daytona-small",
    "harness_id": "",
    "git_repo": "",
    "labels": {"team": "core"},
    "auto_stop_minutes": 15,
    "auto_archive_minutes": 10080,
    "auto_delete_minutes": -1,
    "observed": {"auto_stop_minutes": 15, "auto_archive_minutes": 43200, "auto_delete_minutes": -1},
    "differences": [{"field": "auto_archive_minutes", "asked": 10080, "observed": 43200, "pending": False}],
    "protected_until": None,
    "protected_reason": "",
    "stops_at": "2026-05-04T13:00:00Z",
    "stops_by": {"rule": "idle_stop", "scope": "owner", "minutes": 60},
    "archives_at": None,
    "archives_by": None,
    "deletes_at": None,
    "deletes_by": None,
    "last_accessed_at": MOMENT,
    "last_activity_at": MOMENT,
    "observed_at": "2026-05-04T12:00:02Z",
    "recoverable": False,
    "created_at": "2026-05-01T09:30:00Z",
    "updated_at": "2026-05-04T12:00:02Z",
    "deleted_at": None,
    "etag": '"0f1e2d3c4b5a69788796a5b4c3d2e1f0"',
}
EVENT: dict[str, Any] = {
    "seq": 4711,
    "at": MOMENT,
    "type": "operation",
    "sandbox": SANDBOX_ID,
    "owner": "user_2abc",
    "cause": "program",
    "actor": ACTOR,
    "operation": OPERATION_ID,
    "status": "queued",
    "code": "",
    "message": "Start requested",
    "changes": {"status": "starting", "status_changed_at": MOMENT},
}
NO_SANDBOX = MEANINGS[Code.SANDBOX_NOT_FOUND]
PROBLEM: dict[str, Any] = {
    "type": "/api/v1/problems/sandbox_not_found",
    "title": NO_SANDBOX.title,
    "status": NO_SANDBOX.status,
    "detail": "No sandbox no-such-one.",
    "instance": "/api/v1/sandboxes/bulk",
    "code": "sandbox_not_found",
    "remedy": NO_SANDBOX.remedy,
    "request_id": "6f1c0c5f9c1e4a0f",
}
CODE = {
    "code": "sandbox_not_found",
    "status": NO_SANDBOX.status,
    "title": NO_SANDBOX.title,
    "remedy": NO_SANDBOX.remedy,
}
OWNER = {"id": "user_2abc", "used": 2, "limit": 5, "on_hold": False, "hold_reason": ""}
USAGE: dict[str, Any] = {
    "start": "2026-05-04T00:00:00Z",
    "owner": "user_2abc",
    "tier": "basic",
    "target": "us",
    "sandbox_hours": 7.25,
    "vcpu_hours": 7.25,
    "memory_gib_hours": 7.25,
    "evictions": 1,
    "refusals": 0,
    "starts": 6,
    "time_to_running_p50": 1.08,
    "time_to_running_p95": 4.13,
}
QUOTA: dict[str, Any] = {
    "start": "2026-05-01T09:00:00Z", "target": "us", "sandbox_class": "container", "resource": "vcpu", "limit": 250,
}  # fmt: skip
ME = OWNER | {
    "this_month": {name: value for name, value in USAGE.items() if name not in ("start", "owner", "tier", "target")}
}
CAPACITY: dict[str, Any] = {
    "owner": OWNER,
    "in_use": [
        {
            "target": "us",
            "sandbox_class": "container",
            "sandboxes": 12,
            "in_use_cpu": 18,
            "in_use_memory_gb": 30,
            "own_sandboxes": 2,
            "own_cpu": 2,
            "own_memory_gb": 2,
        }
    ],
    "last_refusal": None,
    "next": {
        "own": [
            {
                "sandbox": SANDBOX_ID,
                "name": "atlas",
                "owner": "user_2abc",
                "status": "running",
                "cpu": 1,
                "memory_gb": 1,
                "disk_gb": 3,
                "last_used_at": MOMENT,
                "broken": ["idle"],
            }
        ],
        "others": {"may_be_stopped": 7, "idle": 3},
    },
    "next_archived": {"own": [], "others": {"may_be_archived": 4}},
}

WEBHOOK: dict[str, Any] = {
    "id": "wh_0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "url": "https://agents.example.com/sandkeeper",
    "types": ["operation", "gone"],
    "owner": "user_2abc",
    "enabled": True,
    "disabled_at": None,
    "disabled_reason": "",
    "failing_since": None,
    "position": 4711,
    "created_at": MOMENT,
}
DEAD: dict[str, Any] = {
    "id": "6d1d5c38-6b0e-4c9f-9f0a-2f7f3b1c9d11",
    "webhook_id": "evt_4711",
    "seq": 4711,
    "sandbox": SANDBOX_ID,
    "attempts": 31,
    "error": "HTTP 500",
    "first_at": MOMENT,
    "died_at": "2026-05-05T12:00:00Z",
}

POLICY: dict[str, Any] = {
    "id": "owner:user_2abc",
    "scope": "owner",
    "subject": "user_2abc",
    "idle_stop_minutes": 60,
    "longest_run_minutes": None,
    "archive_after_minutes": None,
    "delete_after_minutes": 0,
    "expiry_minutes": None,
    "changed_at": MOMENT,
}
RULE: dict[str, Any] = {
    "rule": "idle_stop",
    "action": "stop",
    "minutes": 60,
    "scope": "owner",
    "at": "2026-05-04T13:00:00Z",
}

OF: dict[str, Any] = {
    # sent
    "BulkBody": {"action": "stop", "ids": [SANDBOX_ID, "no-such-one"], "reason": "closing"},
    "Changes": {
        "name": "atlas",
        "labels": {"team": "core", "run": None},
        "auto_stop_minutes": 30,
        "protected_until": MOMENT,
        "reason": "a demo",
    },
    "NewSandbox": {
        "name": "atlas",
        "tier": "basic",
        "language": "python",
        "labels": {"team": "core"},
        "reason": "a new project",
    },
    "NewWebhook": {"url": WEBHOOK["url"], "types": WEBHOOK["types"]},
    "NothingBody": {},
    "PolicyChanges": {"idle_stop_minutes": 60, "expiry_minutes": None, "reason": "long computations"},
    "Reason": {"reason": "a tool call"},
    "ReplayBody": {"ids": [DEAD["id"]]},
    "WebhookChanges": {"enabled": True},
    # answered
    "About": {
        "name": "sandkeeper",
        "version": "1.0.0",
        "links": {
            "sandboxes": "/api/v1/sandboxes",
            "operations": "/api/v1/operations",
            "events": "/api/v1/events",
            "webhooks": "/api/v1/webhooks",
            "policies": "/api/v1/policies",
            "capacity": "/api/v1/capacity",
            "owner": "/api/v1/owners/me",
            "usage": "/api/v1/usage",
            "problems": "/api/v1/problems",
            "schema": "/api/v1/schema",
            "docs": "/api/v1/docs",
        },
    },
    "BulkAnswer": {
        "accepted": 1,
        "refused": 1,
        "results": [
            {"id": SANDBOX_ID, "outcome": "accepted", "operation": QUEUED | {"action": "stop"}, "problem": None},
            {"id": "no-such-one", "outcome": "refused", "operation": None, "problem": PROBLEM},
        ],
    },
    "CapacityAnswer": CAPACITY,
    "CodeShape": CODE,
    "CodeList": {"results": [CODE]},
    "DeadDeliveryPage": {"results": [DEAD], "next": None},
    "EventPage": {"results": [EVENT], "next": None},
    "FeedAnswer": {"results": [EVENT], "cursor": 4711, "more": False},
    "NewWebhookShape": WEBHOOK | {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
    "OperationPage": {"results": [ENDED], "next": None},
    "OperationShape": ENDED,
    "MeShape": ME,
    "OwnerShape": OWNER,
    "PolicyPage": {"results": [POLICY], "next": None},
    "PolicyShape": POLICY,
    "PreviewAnswer": {
        "results": [RULE | {"sandbox": SANDBOX_ID, "name": "atlas", "owner": "user_2abc"}],
        "next": None,
        "until": "2026-05-05T12:00:00Z",
    },
    "SandboxPolicyShape": {"sandbox": SANDBOX_ID, "rules": [RULE]},
    "Replayed": {"replayed": 1},
    "UsageAnswer": {"results": [USAGE], "quotas": [QUOTA], "next": None, "known_until": MOMENT},
    "SandboxPage": {"results": [SANDBOX], "next": None},
    "SandboxShape": SANDBOX,
    "WebhookPage": {"results": [WEBHOOK], "next": None},
    "WebhookShape": WEBHOOK,
}


def of(shape: Any, status: int | None = None) -> Any:
    """The example of a serializer class or instance; what was accepted with 202 has not ended yet."""
    name = (shape if isinstance(shape, type) else type(shape)).__name__
    if name not in OF:  # the body of an action
        return {"reason": "lunch"} | {name: one.example for name, one in shape.takes.described().items()}
    return QUEUED if (name, status) == ("OperationShape", 202) else OF[name]
