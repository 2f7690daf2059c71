"""What the machine can do to Daytona and Convex, by name."""

from __future__ import annotations

from typing import Any

ROOM = {"memory": 500, "disk": 2000, "gpu": 0}

CALLS: dict[str, dict[str, str]] = {
    "look": {"system": "daytona", "method": "GET"},
    "create": {"method": "POST", "path": "/api/sandbox$"},
    "start": {"path": "/start$"},
    "stop": {"path": "/stop$"},
    "archive": {"path": "/archive$"},
    "recover": {"path": "/recover$"},
    "delete": {"system": "daytona", "method": "DELETE"},
    "labels": {"path": "/labels$"},
    "any change": {"system": "daytona", "method": "POST"},
    "new row in Convex": {"system": "convex", "body": "createInternal"},
    "any of Convex": {"system": "convex"},
}
SPOILED: dict[str, dict[str, Any]] = {
    "500": {"kind": "status", "status": 500},
    "502 from a proxy": {"kind": "status", "status": 502, "answer": "<html>"},
    "executed, then 503": {"kind": "status", "status": 503, "execute": True},
    "dropped before": {"kind": "drop_before"},
    "dropped after": {"kind": "drop_after"},
    "refused, runs in 4 s": {"kind": "drop_before", "execute_after": 4.0},
    "refused, runs in 30 s": {"kind": "drop_before", "execute_after": 30.0},
    "hangs": {"kind": "hang"},
    "hangs, runs in 2 s": {"kind": "hang", "execute_after": 2.0},
    "hangs, runs in 100 s": {"kind": "hang", "execute_after": 100.0},
    "429": {
        "kind": "status", "status": 429, "headers": {"Retry-After-sandbox-lifecycle": "1"},
        "answer": {"statusCode": 429, "message": "ThrottlerException: Too Many Requests"},
    },
    "409": {
        "kind": "status", "status": 409,
        "answer": {"statusCode": 409, "message": "Sandbox state change in progress"},
    },
    "refused": {"kind": "status", "status": 422, "answer": {"statusCode": 422, "message": "not today"}},
}  # fmt: skip
HOSTS: dict[str, dict[str, Any]] = {
    "for good": {"error": "image is broken"},
    "for now": {"error": "out of disk", "recoverable": True},
    "silently": {"never": True},
}
OUTAGES: dict[str, dict[str, Any]] = {
    "database": {"database": "down", "key_cache": 1e6},
    "database and keys": {"database": "down", "key_cache": 5.0},
    "no runner": {"runner": "none"},
    "runner away": {"runner": "unresponsive"},
    "suspended": {"suspended": "Payment method required"},
    "false refusals": {"false_refusals": 0.5},
    "slow room": {"usage_lag": 5.0},
    "slow": {"transition": 20.0, "archive": 40.0},
}
WELL: dict[str, Any] = {
    "transition": 1.0, "archive": 3.0, "hold": 0.0, "race": 0.0, "hand_over": 0.01, "minute": 1e9,
    "runner": "ready", "database": "up", "suspended": None, "false_refusals": 0.0, "usage_lag": 0.0,
    "quota": {"cpu": 250, **ROOM},
}  # fmt: skip
FROM_OUTSIDE: dict[str, dict[str, Any]] = {
    "stopped": {"state": "stopped"},
    "started": {"state": "started"},
    "archived": {"state": "archived"},
    "broken": {"state": "error", "errorReason": "out of disk", "recoverable": True},
    "dead": {"state": "error", "errorReason": "disk melted", "recoverable": False},
}
