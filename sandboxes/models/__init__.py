"""Data and constraints; no I/O. Sandbox and Operation are written by services alone."""

from __future__ import annotations

from sandboxes.models.access import IdempotencyAnswer, ServiceKey
from sandboxes.models.audit import AuditEntry, Note
from sandboxes.models.daytona_call import DaytonaCall
from sandboxes.models.intent import IntentChange
from sandboxes.models.job import Job, JobItem
from sandboxes.models.operation import Feed, Operation, SandboxEvent
from sandboxes.models.orphan import Orphan
from sandboxes.models.policy import Policy
from sandboxes.models.projection import ConvexProjection
from sandboxes.models.receiver import Delivery, Receiver
from sandboxes.models.running import CallBudget, CircuitBreaker, Lease, Notice, Schedule, Sweep, WorkerHeartbeat
from sandboxes.models.sandbox import Owner, Sandbox
from sandboxes.models.usage import UsageHour

__all__ = [
    "AuditEntry",
    "CallBudget",
    "CircuitBreaker",
    "ConvexProjection",
    "DaytonaCall",
    "Delivery",
    "Feed",
    "IdempotencyAnswer",
    "IntentChange",
    "Job",
    "JobItem",
    "Lease",
    "Note",
    "Notice",
    "Operation",
    "Orphan",
    "Owner",
    "Policy",
    "Receiver",
    "Sandbox",
    "SandboxEvent",
    "Schedule",
    "ServiceKey",
    "Sweep",
    "UsageHour",
    "WorkerHeartbeat",
]
