"""An installation with at least one row of everything that the admin shows."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group

from sandboxes.core.codes import NoticeCode
from sandboxes.core.vocabulary import (
    Action,
    Actor,
    AuditAction,
    EventKind,
    Intent,
    OperationStatus,
    OrphanDecision,
    PolicyScope,
    Rule,
    Status,
)
from sandboxes.models import (
    Delivery,
    Note,
    Orphan,
    Receiver,
    Sandbox,
    ServiceKey,
    Sweep,
    UsageHour,
    WorkerHeartbeat,
)
from sandboxes.services import audit, jobs, notices, policies
from sandboxes.services.staff_actions import Wish
from tests.support import rows

ADMIN = Actor.staff("admin")


def furnish() -> Sandbox:
    """Sandboxes in every status, and what belongs to them; returns the one with the most to say."""
    for status in Status:
        rows.sandbox(f"box-{status}", status=status, error_reason="no disk" if status == Status.ERROR else "")
    told_too_slowly = {"wanted_generation": 4, "error": "refused: x"}
    row = rows.sandbox("evicted", status=Status.STOPPED, intent=Intent.RUNNING, projection=told_too_slowly)
    failed = rows.operation(row, Action.STOP, OperationStatus.FAILED, code="timeout", message="too slow")
    rows.event(row, operation=failed)
    rows.event(row, EventKind.EVICTION, "Stopped to make room", actor="system:evictor")
    rows.operation(rows.sandbox("moving", ephemeral=True), Action.STOP, OperationStatus.IN_PROGRESS)
    Note.objects.create(
        owner=row.owner, sandbox=row, at=rows.ago(hours=1), author="staff:admin", text="Called them."
    )
    rows.owner("held", hold_since=rows.ago(hours=1), hold_reason="abuse", hold_public_reason="Write to us.")
    policies.set_policy(PolicyScope.DEFAULT, "", {Rule.IDLE_STOP: 90}, actor=ADMIN, reason="costs")
    policies.set_policy(PolicyScope.OWNER, "held", {Rule.EXPIRY: 0, Rule.LONGEST_RUN: 600}, actor=ADMIN)
    policies.apply_all()
    _use()
    _tell_staff(row)
    return row


def _use() -> None:
    for hours in (1, 2, 5):
        hour = rows.ago(hours=hours).replace(minute=0, second=0, microsecond=0)
        for owner in ("held", "user_alice"):
            values = {"measure": "vcpu_seconds", "value": 3600, "rolled_up_at": hour}
            UsageHour.objects.create(owner=owner, hour=hour, **values)


def _tell_staff(row: Sandbox) -> None:
    notices.tell(NoticeCode.ORG_SUSPENDED, "The organisation is suspended.")
    Sweep.objects.create(result="complete", started_at=rows.ago(minutes=1), counts={"drift": 2, "orphan": 1})
    beat: dict[str, Any] = {"host": "h", "pid": 1, "places": 1, "started_at": rows.ago(hours=1)}
    WorkerHeartbeat.objects.create(worker_id="one", beat_at=rows.ago(seconds=1), **beat)
    key = ServiceKey.objects.create(name="key", prefix="abc", digest="x", scopes=["sandboxes:read"])
    hook = Receiver.objects.create(key=key, url="https://example.com/", created_at=rows.ago(hours=1))
    dead = {
        "number": 7,
        "stream": str(row.pk),
        "attempt": 12,
        "error": "It answered 503",
        "died_at": rows.ago(hours=2),
    }
    Delivery.objects.create(receiver=hook, **dead)
    for key_of, owner in (("stray", "user_bob"), ("theirs", "")):
        seen = {"first_seen_at": rows.ago(hours=3), "seen_at": rows.ago(minutes=1), "created_at": rows.ago(days=9)}
        Orphan.objects.create(daytona_id=key_of, name=f"{key_of}-box", owner=owner, state="started", cpu=2, **seen)
    decided = {"decision": OrphanDecision.ADOPT, "decided_by": "staff:admin", "decided_at": rows.ago(minutes=4)}
    Orphan.objects.filter(pk="stray").update(**decided, reason="It is theirs", message="Convex shows it to another")
    wish = Wish(actor=ADMIN, request_id="", reason="maintenance at noon")
    jobs.create(
        "sync", list(Sandbox.objects.exclude(status=Status.GONE).values_list("pk", flat=True)), wish, left_out={}
    )
    audit.write(AuditAction.HOLD, actor=ADMIN, owner="held", reason="abuse", before={}, after={"on_hold": True})
    Group.objects.get_or_create(name="people")
