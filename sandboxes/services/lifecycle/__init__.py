"""The loop: request, advance, settle. What a person asks becomes an intent and a durable operation; short ticks
move it on until Daytona shows it."""

from __future__ import annotations

from sandboxes.services.lifecycle.advance import advance
from sandboxes.services.lifecycle.change import protect, put_labels_back, reapply, rename, set_intervals
from sandboxes.services.lifecycle.create import NewRequest, create
from sandboxes.services.lifecycle.intervals import RANGES, is_made_ephemeral
from sandboxes.services.lifecycle.observe import observe
from sandboxes.services.lifecycle.request import cancel, request
from sandboxes.services.lifecycle.request_many import request_many
from sandboxes.services.lifecycle.rules import allowed_actions, destroyed_after, obstacles

__all__ = [
    "RANGES",
    "NewRequest",
    "advance",
    "allowed_actions",
    "cancel",
    "create",
    "destroyed_after",
    "is_made_ephemeral",
    "observe",
    "obstacles",
    "protect",
    "put_labels_back",
    "reapply",
    "rename",
    "request",
    "request_many",
    "set_intervals",
]
