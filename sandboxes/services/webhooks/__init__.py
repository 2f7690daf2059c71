"""Webhooks: programs are told of events, staff of notices. The front of this package for whoever asks.

`outbox` and `sending` are the worker's part; `services/notice_outbox.py` has notices told.
"""

from __future__ import annotations

from sandboxes.providers.receivers import LONGEST_URL
from sandboxes.services.webhooks.registering import (
    ReceiverChanges,
    change,
    delete,
    disable_those_of,
    find,
    register,
    register_for_notices,
    replay,
    review,
    rotate,
    visible,
)

__all__ = [
    "LONGEST_URL",
    "ReceiverChanges",
    "change",
    "delete",
    "disable_those_of",
    "find",
    "register",
    "register_for_notices",
    "replay",
    "review",
    "rotate",
    "visible",
]
