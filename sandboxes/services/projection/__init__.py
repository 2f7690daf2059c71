"""Convex is a projection: written, never believed. A push sends what differs and marks the revision it sent."""

from __future__ import annotations

from sandboxes.services.projection.again import NO_ID, push_again
from sandboxes.services.projection.pushing import enqueue_due, is_on, is_used, push, push_many, touch
from sandboxes.services.projection.withdraw import withdraw

__all__ = [
    "NO_ID",
    "enqueue_due",
    "is_on",
    "is_used",
    "push",
    "push_again",
    "push_many",
    "touch",
    "withdraw",
]
