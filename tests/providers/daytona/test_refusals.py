"""Every refusal that Daytona has, asked for in the way that gets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.providers.daytona import gateway as errors
from sandboxes.providers.protocols import SandboxSpec

if TYPE_CHECKING:
    from tests.providers.daytona.conftest import NewGateway
    from tests.support.emulator import Emulator
    from tests.support.gateway import BlockingGateway

NOWHERE = "99999999-9999-4999-8999-999999999999"


def refused(kind: type[errors.DaytonaError], call: Any, *arguments: Any) -> Any:
    with pytest.raises(errors.DaytonaError) as raised:
        call(*arguments)
    assert type(raised.value) is kind, raised.value
    assert raised.value.outcome_known is (kind is not errors.Unknown)
    return raised.value


def test_only_a_look_finds_nothing(gateway: BlockingGateway) -> None:
    for name in (NOWHERE, "nobody"):
        error = refused(errors.NotFound, gateway.get, name)
        assert error.status == 404
        assert name in error.message


def test_a_change_of_what_is_not_there_leaves_open_whether_it_is(gateway: BlockingGateway) -> None:
    """With its database down, Daytona says the same of a living sandbox (recording 15_outages)."""
    for call in (gateway.start, gateway.stop, gateway.archive, gateway.delete, gateway.recover, gateway.keep_alive):
        assert refused(errors.Unknown, call, NOWHERE).status == 404
    refused(errors.Unknown, gateway.replace_labels, NOWHERE, {})
    refused(errors.Unknown, gateway.set_auto_stop, NOWHERE, 5)


@pytest.mark.parametrize("state", ["starting", "stopping", "restoring", "creating"])
def test_a_change_in_progress_is_busy(gateway: BlockingGateway, emulator: Emulator, state: str) -> None:
    desired = "stopped" if state == "stopping" else "started"
    [key] = emulator.seed([{"state": state, "desiredState": desired}])
    for call in (gateway.stop, gateway.archive, gateway.delete):
        assert refused(errors.Busy, call, key).status == 409


def test_a_name_that_is_taken(gateway: BlockingGateway, emulator: Emulator) -> None:
    emulator.seed([{"name": "alpha"}])
    refused(errors.NameTaken, gateway.create, SandboxSpec(name="alpha"))


@pytest.mark.parametrize(("resource", "limit"), [("CPU", {"cpu": 1}), ("memory", {"memory": 2})])
def test_a_full_compute_quota(
    gateway: BlockingGateway, emulator: Emulator, resource: str, limit: dict[str, int]
) -> None:
    emulator.settings(quota={"cpu": 100, "memory": 100, "disk": 100, "gpu": 0} | limit)
    [_, stopped] = emulator.seed([{"memory": 2}, {"memory": 2, "state": "stopped"}])
    for call, argument in ((gateway.start, stopped), (gateway.create, SandboxSpec(name="alpha"))):
        error = refused(errors.ComputeQuotaFull, call, argument)
        assert (error.resource, error.limit) == (resource, next(iter(limit.values())))
        assert error.recording == "07_quota"


def test_a_full_disk_quota(gateway: BlockingGateway, emulator: Emulator) -> None:
    emulator.settings(quota={"cpu": 100, "memory": 100, "disk": 5, "gpu": 0})
    emulator.seed([{"state": "stopped"}])
    refused(errors.DiskQuotaFull, gateway.create, SandboxSpec(name="alpha"))


def test_more_than_one_sandbox_may_have_is_not_a_full_quota(gateway: BlockingGateway, emulator: Emulator) -> None:
    emulator.settings(per_sandbox={"cpu": 1, "memory": 8, "disk": 10})
    error = refused(errors.Rejected, gateway.create, SandboxSpec(name="alpha", snapshot="daytona-medium"))
    assert error.message.startswith("CPU request 2 exceeds maximum allowed per sandbox (1).")


def test_sizes_without_a_snapshot_are_refused_because_the_default_snapshot_stands_in(
    gateway: BlockingGateway,
) -> None:
    error = refused(errors.Rejected, gateway.create, SandboxSpec(name="alpha", cpu=2, memory_gb=4, disk_gb=8))
    assert error.message == "Cannot specify Sandbox resources when using a snapshot"


def test_no_runner(gateway: BlockingGateway, emulator: Emulator) -> None:
    emulator.settings(runner="none")
    refused(errors.NoRunners, gateway.create, SandboxSpec(name="alpha"))


def test_a_suspended_organisation(gateway: BlockingGateway, emulator: Emulator) -> None:
    emulator.settings(suspended="Payment method required")
    [key] = emulator.seed([{"state": "stopped"}])
    for call, argument in ((gateway.start, key), (gateway.create, SandboxSpec(name="alpha"))):
        assert refused(errors.Suspended, call, argument).reason == "Payment method required"
    assert gateway.get(key).state == "stopped"


@pytest.mark.parametrize(
    ("state", "calls"),
    [("stopped", ["stop"]), ("archived", ["stop", "archive"]), ("started", ["archive", "recover"])],
)
def test_the_wrong_state(gateway: BlockingGateway, emulator: Emulator, state: str, calls: list[str]) -> None:
    [key] = emulator.seed([{"state": state}])
    for call in calls:
        error = refused(errors.WrongState, getattr(gateway, call), key)
        assert isinstance(error, errors.Rejected)


def test_an_errored_sandbox_cannot_be_changed(gateway: BlockingGateway, emulator: Emulator) -> None:
    [key] = emulator.seed([{"state": "error", "errorReason": "boom"}])
    for call in (gateway.start, gateway.stop, gateway.archive, gateway.recover):
        refused(errors.WrongState, call, key)


def test_a_start_that_fails_says_why(gateway: BlockingGateway, emulator: Emulator) -> None:
    [key] = emulator.seed([{"state": "stopped"}])
    emulator.faults.add("host", operation="start", error="no space left on device")
    error = refused(errors.StartFailed, gateway.start, key)
    assert error.message == "Sandbox failed to start: no space left on device"
    assert gateway.get(key).state == "error"


def test_a_recovery_that_was_tried_lately(gateway: BlockingGateway, emulator: Emulator) -> None:
    answer = {
        "statusCode": 409,
        "message": "Sandbox recovery has been attempted recently. Please try again later",
    }
    emulator.faults.add("status", path="/recover", status=409, answer=answer)
    [key] = emulator.seed([{"state": "error", "recoverable": True}])
    refused(errors.RecoverCooldown, gateway.recover, key)


def test_a_region_that_does_not_exist(gateway: BlockingGateway) -> None:
    error = refused(errors.Rejected, gateway.create, SandboxSpec(name="alpha", target="mars"))
    assert error.message == "Region not found"


def test_a_snapshot_that_does_not_exist(gateway: BlockingGateway) -> None:
    error = refused(errors.Rejected, gateway.create, SandboxSpec(name="alpha", snapshot="nope:1"))
    assert "Snapshot nope:1 not found" in error.message


def test_a_key_without_the_permission(new_gateway: NewGateway, emulator: Emulator) -> None:
    keys = {"dtn_reader": {"organization": emulator.organization, "permissions": []}}
    emulator.settings(keys=emulator.settings()["keys"] | keys)
    [key] = emulator.seed([{}])
    gateway = new_gateway(api_key="dtn_reader")
    assert gateway.get(key).id == key
    assert refused(errors.Rejected, gateway.stop, key).message == "Access denied"


def test_a_cursor_that_is_none(gateway: BlockingGateway) -> None:
    def page() -> None:
        gateway.list_page(cursor="zzz")

    assert "Invalid cursor" in refused(errors.Rejected, page).message
