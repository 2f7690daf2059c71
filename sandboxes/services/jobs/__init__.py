"""Jobs: one action for many sandboxes, asked for by staff and done in the background."""

from __future__ import annotations

from sandboxes.services.jobs.create import cancel, create
from sandboxes.services.jobs.steps import work

__all__ = ["cancel", "create", "work"]
