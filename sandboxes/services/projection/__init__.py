"""Convex is a projection: written, never believed. A push sends what differs and marks the revision it sent."""

from __future__ import annotations

from sandboxes.services.projection.again import push_again
from sandboxes.services.projection.pushing import enqueue_due, is_on, push, push_many, touch

__all__ = ["enqueue_due", "is_on", "push", "push_again", "push_many", "touch"]
