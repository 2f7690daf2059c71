"""What happens in the demo, beside its sandboxes: each scene is played once, and again only where it is missing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model

from sandboxes import clock
from sandboxes.core.vocabulary import Action, Actor, EventKind, OperationStatus, PolicyScope, Rule, Source, Status
from sandboxes.demo.taken_over import id_of, seed, sweep
from sandboxes.models import Job, Operation, Orphan, Owner, Policy, Sandbox, SandboxEvent
from sandboxes.services import jobs, lifecycle, owners, policies, usage
from sandboxes.services.staff_actions import Protection, Wish

if TYPE_CHECKING:
    import httpx

STAFF = "admin"
ADA = "user_ada"


def _protect_one(_: httpx.Client) -> None:
    """Of those that could make room, one is protected."""
    row = _of(ADA, "fine-tuning")
    if row.protected_until is None:
        until = clock.now() + timedelta(days=2)
        lifecycle.protect(row.pk, actor=Actor.owner(ADA), until=until, reason="Trains until the weekend")


def _ready_the_start(_: httpx.Client) -> None:
    """One is stopped, whose start is to meet a full quota; it runs after a load that was interrupted just then."""
    row = _of(ADA, "data-cleaning")
    if not _evicted() and row.status == Status.RUNNING:
        _request(row, Action.STOP)


def _evict(control: httpx.Client) -> None:
    """The quota is full: Ada starts one, and the one of hers that was idle for longest makes room."""
    if _evicted():
        return
    row = _of(ADA, "data-cleaning")
    (full,) = [one for one in usage.in_use() if one["target"] == row.target]
    limits = {"cpu": full["in_use_cpu"], "memory": 500, "disk": 2000, "gpu": 0}
    quotas = {f"{row.target}/{row.sandbox_class}": limits}
    control.patch("/settings", json={"quotas": quotas}).raise_for_status()
    _request(row, Action.START)


def _evicted() -> bool:
    return SandboxEvent.objects.filter(kind=EventKind.EVICTION).exists()


def _hold(_: httpx.Client) -> None:
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
    row = _of("user_hedy", "fine-tuning")
    refusal = {
        "kind": "status", "system": "daytona", "method": "POST", "path": "/start$", "sandbox": row.daytona_id,
        "times": 1, "status": 400, "answer": {"message": "The snapshot is not available in this region"},
    }  # fmt: skip
    control.post("/faults", json=refusal).raise_for_status()
    _request(row, Action.START)


def _rule(_: httpx.Client) -> None:
    """One owner has a lifecycle policy of their own."""
    if not Policy.objects.exists():
        two_days = {Rule.IDLE_STOP: 2 * 24 * 60}
        policies.set_policy(PolicyScope.OWNER, "user_grace", two_days, actor=Actor.staff(STAFF), reason="Asked for")


def _protect_several(_: httpx.Client) -> None:
    """One job has finished."""
    if Job.objects.exists() or not get_user_model()._default_manager.filter(username=STAFF).exists():
        return
    running = Sandbox.objects.filter(status=Status.RUNNING, owner__in=["user_grace", "user_ken", "user_leslie"])
    wish = Wish(actor=Actor.staff(STAFF), request_id="", reason="Conference on Thursday", parameters=Protection())
    jobs.create("protect", list(running.order_by("name").values_list("pk", flat=True)), wish, left_out={})


def _lose(control: httpx.Client) -> None:
    """Daytona has one sandbox without a row here, which a notice tells of, and one that is somebody else's."""
    if Orphan.objects.exists():
        return
    rows = [
        {"name": "old-experiment", "state": "started", "cpu": 2, "labels": {"harness_user_id": "user_alan"}},
        {"name": "ci-runner-7", "state": "stopped", "cpu": 1, "labels": {}},
    ]
    seed(control, [{"id": id_of("", str(row["name"])), "target": "eu", **row} for row in rows])
    sweep()


# The eviction comes first: while anything else leaves the full quota, nobody is evicted.
SCENES = (_protect_one, _ready_the_start, _evict, _hold, _fail, _rule, _protect_several, _lose)


def _of(owner: str, name: str) -> Sandbox:
    row: Sandbox = Sandbox.objects.get(owner=owner, name=name)
    return row


def _request(row: Sandbox, action: Action) -> Operation:
    return lifecycle.request(row.pk, action, actor=Actor.owner(row.owner_id), source=Source.API)
