"""The loop: request, advance, settle. What a person asks becomes an intent and a durable operation; short ticks
move it on until Daytona shows it."""

from __future__ import annotations

from sandboxes.services.lifecycle.advance import advance
from sandboxes.services.lifecycle.change import INTERVALS, MAX_MINUTES, protect, rename, set_intervals
from sandboxes.services.lifecycle.create import NewRequest, create
from sandboxes.services.lifecycle.find import find, held, identify, visible_to
from sandboxes.services.lifecycle.observe import observe
from sandboxes.services.lifecycle.request import cancel, request
from sandboxes.services.lifecycle.rules import allowed_actions, obstacles

__all__ = [
    "INTERVALS",
    "MAX_MINUTES",
    "NewRequest",
    "advance",
    "allowed_actions",
    "cancel",
    "create",
    "find",
    "held",
    "identify",
    "observe",
    "obstacles",
    "protect",
    "rename",
    "request",
    "set_intervals",
    "visible_to",
]
