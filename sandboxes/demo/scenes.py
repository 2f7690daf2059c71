"""What happens in the demo, beside its sandboxes: each scene is played once, and again only where it is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model

from sandboxes.core.vocabulary import Action, Actor, OperationStatus, Source, Status
from sandboxes.models import Job, Operation, Orphan, Owner, Sandbox
from sandboxes.services import jobs, lifecycle, owners, reconcile
from sandboxes.services.staff_actions import Wish

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

STAFF = "admin"


def play(control: httpx.Client, settle: Callable[[], None]) -> None:
    """Play what is missing; a worker is at work beside it, and `settle` waits until it has nothing left to do."""
    _hold()
    _fail(control)
    settle()
    _protect()
    settle()
    _lose(control)


def _hold() -> None:
    """One owner is on hold."""
    if not Owner.objects.filter(hold_since__isnull=False).exists():
        owners.hold(
            "user_tim", actor=Actor.staff(STAFF), reason="Suspected crypto mining; asked on Monday",
            public_reason="Please write to support.",
        )  # fmt: skip


def _fail(control: httpx.Client) -> None:
    """One start is refused by Daytona."""
    if Operation.objects.filter(status=OperationStatus.FAILED).exists():
        return
    row = _one_of("user_hedy", Status.STOPPED)
    refusal = {
        "kind": "status", "system": "daytona", "method": "POST", "path": "/start$", "sandbox": row.daytona_id,
        "times": 1, "status": 400, "answer": {"message": "The snapshot is not available in this region"},
    }  # fmt: skip
    control.post("/faults", json=refusal).raise_for_status()
    _request(row, Action.START)


def _protect() -> None:
    """One job has finished."""
    if Job.objects.exists() or not get_user_model()._default_manager.filter(username=STAFF).exists():
        return
    running = Sandbox.objects.filter(status=Status.RUNNING, owner__in=["user_grace", "user_ken", "user_leslie"])
    wish = Wish(actor=Actor.staff(STAFF), request_id="", reason="Conference on Thursday", hours=24)
    jobs.create("protect", list(running.order_by("name").values_list("pk", flat=True)), wish, left_out={})


def _lose(control: httpx.Client) -> None:
    """Daytona has one sandbox without a row here, which a notice tells of, and one that is somebody else's."""
    if Orphan.objects.exists():
        return
    rows = [
        {"name": "old-experiment", "state": "started", "cpu": 2, "labels": {"harness_user_id": "user_alan"}},
        {"name": "ci-runner-7", "state": "stopped", "cpu": 1, "labels": {}},
    ]
    control.post("/sandboxes", json={"sandboxes": rows}).raise_for_status()
    reconcile.sweep()


def _one_of(owner: str, status: Status) -> Sandbox:
    found: Sandbox = Sandbox.objects.filter(owner=owner, status=status).order_by("name")[0]
    return found


def _request(row: Sandbox, action: Action) -> Operation:
    return lifecycle.request(row.pk, action, actor=Actor.owner(row.owner_id), source=Source.API)
