"""Convex is a projection: written, never believed. A push sends what differs and marks the generation it sent."""

from __future__ import annotations

from sandboxes.services.projection.lease import abandon
from sandboxes.services.projection.pushing import (
    NO_ID,
    due,
    is_on,
    is_used,
    push,
    push_again,
    push_many,
    touch,
)

__all__ = ["NO_ID", "abandon", "due", "is_on", "is_used", "push", "push_again", "push_many", "touch"]
