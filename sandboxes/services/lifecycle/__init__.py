"""The loop: request, attempt, attempt again. What a person asks becomes an intent and a durable operation; short
attempts move it on until Daytona shows it."""

from __future__ import annotations

from sandboxes.core.intervals import RANGES, is_made_ephemeral
from sandboxes.services.lifecycle.allowed import allowed_actions, destroyed_after, obstacles, refusal
from sandboxes.services.lifecycle.attempts import attempt, observe
from sandboxes.services.lifecycle.change import (
    forget,
    protect,
    put_labels_back,
    reapply,
    rename,
    set_intervals,
    set_labels,
)
from sandboxes.services.lifecycle.create import NewRequest, create
from sandboxes.services.lifecycle.request import cancel, carry_out, request
from sandboxes.services.lifecycle.request_many import request_many

__all__ = [
    "RANGES",
    "NewRequest",
    "allowed_actions",
    "attempt",
    "cancel",
    "carry_out",
    "create",
    "destroyed_after",
    "forget",
    "is_made_ephemeral",
    "observe",
    "obstacles",
    "protect",
    "put_labels_back",
    "reapply",
    "refusal",
    "rename",
    "request",
    "request_many",
    "set_intervals",
    "set_labels",
]
