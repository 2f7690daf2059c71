"""Lifecycle policies: setting them, what they will do, and having sandboxes judged by them."""

from __future__ import annotations

from sandboxes.services.policies.applying import apply_all, apply_due, apply_some, tell_sandboxes
from sandboxes.services.policies.foreseeing import (
    InForce,
    PreviewLine,
    concerned,
    forecast,
    in_force,
    in_words,
    of_owner,
    preview,
    read,
    until,
)
from sandboxes.services.policies.setting import clear_policy, find, listed, set_policy

__all__ = [
    "InForce",
    "PreviewLine",
    "apply_all",
    "apply_due",
    "apply_some",
    "clear_policy",
    "concerned",
    "find",
    "forecast",
    "in_force",
    "in_words",
    "listed",
    "of_owner",
    "preview",
    "read",
    "set_policy",
    "tell_sandboxes",
    "until",
]
