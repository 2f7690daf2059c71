"""Every call, as Daytona carries it out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sandboxes.providers.daytona.gateway import NotFound, RemoteSandbox, WrongState
from sandboxes.providers.protocols import SandboxSpec
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.providers.daytona.conftest import NewGateway
    from tests.support.emulator import Emulator
    from tests.support.gateway import BlockingGateway


def becomes(gateway: BlockingGateway, key: str, state: str) -> RemoteSandbox:
    def there() -> RemoteSandbox | None:
        found = gateway.get(key)
        return found if found.state == state else None

    sandbox = wait_until(there, what=state)
    assert sandbox is not None
    return sandbox


def test_a_sandbox_is_created_from_a_snapshot(gateway: BlockingGateway) -> None:
    created = gateway.create(
        SandboxSpec(name="alpha", snapshot="daytona-medium", labels={"a": "b"}, auto_stop=20, auto_archive=60)
    )
    sandbox = becomes(gateway, created.id, "started")
    assert sandbox.name == "alpha"
    assert (sandbox.cpu, sandbox.memory_gb, sandbox.disk_gb) == (2, 4, 8)
    assert sandbox.labels == {"a": "b"}
    assert (sandbox.auto_stop_interval, sandbox.auto_archive_interval, sandbox.auto_delete_interval) == (20, 60, -1)
    assert sandbox.created_at is not None
    assert abs(datetime.now(UTC) - sandbox.created_at) < timedelta(minutes=1)


def test_what_a_sandbox_is_to_know_of_its_environment_is_sent(gateway: BlockingGateway, emulator: Emulator) -> None:
    created = gateway.create(SandboxSpec(name="alpha", env={"A": "b"}))
    row = emulator.sandbox(created.id)
    assert row is not None
    assert row["env"] == {"A": "b"}


def test_an_ephemeral_sandbox_is_one_that_is_deleted_when_it_stops(gateway: BlockingGateway) -> None:
    created = gateway.create(SandboxSpec(name="alpha", auto_delete=0))
    assert created.auto_delete_interval == 0


def test_the_region_is_that_of_the_gateway_unless_the_sandbox_names_one(new_gateway: NewGateway) -> None:
    gateway = new_gateway(target="eu")
    assert gateway.create(SandboxSpec(name="alpha")).target == "eu"
    assert gateway.create(SandboxSpec(name="beta", target="us")).target == "us"
    assert new_gateway().create(SandboxSpec(name="gamma")).target == "us"


def test_a_sandbox_is_found_by_id_and_by_name(gateway: BlockingGateway, emulator: Emulator) -> None:
    [key] = emulator.seed([{"name": "alpha"}])
    assert gateway.get(key) == gateway.get("alpha")
    assert gateway.get(key).organization_id == emulator.organization


def test_a_sandbox_stops_starts_archives_and_is_deleted(gateway: BlockingGateway, emulator: Emulator) -> None:
    [key] = emulator.seed([{"name": "alpha"}])
    assert gateway.stop(key).state == "stopping"
    becomes(gateway, key, "stopped")
    assert gateway.start(key).desired_state == "started"
    becomes(gateway, key, "started")
    gateway.stop(key)
    becomes(gateway, key, "stopped")
    assert gateway.archive(key).desired_state == "archived"
    becomes(gateway, key, "archived")
    assert gateway.delete(key).name.startswith("DESTROYED_alpha_")
    wait_until(lambda: emulator.sandbox(key) is None, what="deleted sandbox")
    with pytest.raises(NotFound):
        gateway.get(key)
    actions = [entry["action"] for entry in emulator.log(system="daytona", key=key)]
    assert actions[:5] == ["stop", "start", "stop", "archive", "delete"]


def test_a_sandbox_recovers(gateway: BlockingGateway, emulator: Emulator) -> None:
    [key] = emulator.seed([{"state": "error", "errorReason": "disk full", "recoverable": True}])
    seen = gateway.get(key)
    assert (seen.state, seen.error_reason, seen.recoverable) == ("error", "disk full", True)
    gateway.recover(key)
    becomes(gateway, key, "started")


def test_labels_are_replaced(gateway: BlockingGateway, emulator: Emulator) -> None:
    [key] = emulator.seed([{"labels": {"a": "1", "b": "2"}}])
    gateway.replace_labels(key, {"b": "3", "c": "ü"})
    assert gateway.get(key).labels == {"b": "3", "c": "ü"}
    gateway.replace_labels(key, {})
    assert gateway.get(key).labels == {}


def test_odd_labels_are_read_and_can_be_repaired(gateway: BlockingGateway, emulator: Emulator) -> None:
    [key] = emulator.seed([{"labels": {"a": "1", "n": 2, "o": {"k": 1}}}])
    seen = gateway.get(key)
    assert seen.labels == {"a": "1", "n": "2"}
    gateway.replace_labels(key, seen.labels)


def test_keep_alive_moves_the_last_activity(gateway: BlockingGateway, emulator: Emulator) -> None:
    [key] = emulator.seed([{"lastActivityAt": "2026-01-01T00:00:00.000Z"}])
    before = gateway.get(key).last_activity_at
    gateway.keep_alive(key)
    emulator.advance(11)  # Daytona writes it every ten seconds
    after = gateway.get(key).last_activity_at
    assert before is not None
    assert after is not None
    assert after > before


def test_the_intervals_are_set(gateway: BlockingGateway, emulator: Emulator) -> None:
    [key] = emulator.seed([{}])
    gateway.set_auto_stop(key, 0)
    gateway.set_auto_archive(key, 1440)
    gateway.set_auto_delete(key, 60)
    seen = gateway.get(key)
    assert (seen.auto_stop_interval, seen.auto_archive_interval, seen.auto_delete_interval) == (0, 1440, 60)
    gateway.set_auto_delete(key, -1)
    assert gateway.get(key).auto_delete_interval == -1


def test_the_list_comes_page_by_page_oldest_first(gateway: BlockingGateway, emulator: Emulator) -> None:
    keys = emulator.seed(count=5, name="box-{n}")
    first = gateway.list_page(limit=2)
    second = gateway.list_page(limit=2, cursor=first.next_cursor)
    third = gateway.list_page(limit=2, cursor=second.next_cursor)
    pages = (first, second, third)
    assert [len(page.items) for page in pages] == [2, 2, 1]
    assert [item.id for page in pages for item in page.items] == keys
    assert third.next_cursor is None
    assert all(page.bad_rows == () for page in pages)


def test_the_list_is_filtered_by_labels_and_by_the_beginning_of_the_id(
    gateway: BlockingGateway, emulator: Emulator
) -> None:
    alpha, beta = emulator.seed([{"labels": {"owner": "a", "x": "1"}}, {"labels": {"owner": "b"}}])
    assert [item.id for item in gateway.list_page(labels={"owner": "a"}).items] == [alpha]
    assert [item.id for item in gateway.list_page(id_prefix=beta[:13]).items] == [beta]
    assert gateway.list_page(labels={"owner": "c"}).items == ()


def test_one_odd_sandbox_spoils_no_list(gateway: BlockingGateway, emulator: Emulator) -> None:
    """The SDK's own list raises for the whole organisation (recording 19_sdk_poisoned_list)."""
    keys = emulator.seed([{"labels": None}, {"labels": {"code-toolbox-language": "cobol"}}, {"labels": ["q"]}])
    page = gateway.list_page()
    assert [item.id for item in page.items] == keys


def test_a_word_that_nobody_knows_is_passed_on(gateway: BlockingGateway, emulator: Emulator) -> None:
    [key] = emulator.seed([{}])
    emulator.change(key, state="hibernating", desired="hibernating")
    assert gateway.get(key).state == "hibernating"


def test_start_is_idempotent_and_stop_is_not(gateway: BlockingGateway, emulator: Emulator) -> None:
    [started, stopped] = emulator.seed([{"state": "started"}, {"state": "stopped"}])
    assert gateway.start(started).state == "started"
    with pytest.raises(WrongState):
        gateway.stop(stopped)
