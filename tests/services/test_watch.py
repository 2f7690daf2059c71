from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import socketio

from sandboxes.core.codes import NoticeCode
from sandboxes.core.vocabulary import Action, EventKind
from sandboxes.models import Notice, Sandbox, SandboxEvent, Sweep
from sandboxes.providers.daytona import events as daytona_events
from sandboxes.services import leases
from sandboxes.services.sweeps import LEASE
from sandboxes.services.watch import Watch
from tests.support.driving import do, reload
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from pytest_django import Settings

    from tests.support.emulator import Emulator

Running = Callable[..., Sandbox]


@pytest.fixture
def watching(world: Emulator) -> Iterator[Watch]:
    watch = Watch(daytona_events.stream(), stop=threading.Event())
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    wait_until(watch.connected.is_set, what="connection")
    wait_until(lambda: Sweep.objects.filter(result=Sweep.Result.COMPLETE).exists(), what="the first sweep")
    yield watch
    watch._stop.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def shows(sandbox: Sandbox, status: str) -> None:
    """No sweep runs meanwhile: only watching can show it."""
    wait_until(lambda: reload(sandbox.pk).status == status, what=f"{status} of {reload(sandbox.pk)}")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"state": "stopped"}, "stopped"),
        ({"state": "archived"}, "archived"),
        ({"state": "error", "errorReason": "the host broke"}, "error"),
    ],
    ids=["stopped", "archived", "errored"],
)
def test_what_daytona_did_by_itself_shows_at_once(
    watching: Watch, world: Emulator, running: Running, changes: dict[str, object], status: str
) -> None:
    sandbox = running()
    world.change(str(sandbox.daytona_id), **changes)
    shows(sandbox, status)


def test_a_sandbox_deleted_in_daytonas_dashboard_is_gone_at_once(
    watching: Watch, world: Emulator, running: Running
) -> None:
    """Its first 404 is believed, because Daytona's own event says that it was destroyed."""
    sandbox = running()
    world.control.request(
        "DELETE",
        f"{world.daytona_url}/sandbox/{sandbox.daytona_id}",
        headers={"Authorization": f"Bearer {world.daytona_key}"},
    )
    shows(sandbox, "gone")


def test_a_sandbox_that_came_back_shows_at_once(watching: Watch, world: Emulator, running: Running) -> None:
    sandbox = running()
    world.change(str(sandbox.daytona_id), state="error", errorReason="the host broke")
    shows(sandbox, "error")
    world.change(str(sandbox.daytona_id), state="started", errorReason=None)
    shows(sandbox, "running")


def test_an_event_that_lies_changes_nothing(watching: Watch, world: Emulator, running: Running) -> None:
    sandbox = running()
    lie: dict[str, Any] = {
        "id": sandbox.daytona_id,
        "state": "destroyed",
        "desiredState": "destroyed",
        "labels": {},
    }
    before = world.counts()["daytona"]["GET /sandbox/{id}"]
    world.send_event("sandbox.state.updated", {"sandbox": lie, "oldState": "started", "newState": "destroyed"})
    wait_until(lambda: world.counts()["daytona"]["GET /sandbox/{id}"] > before + 1, what="a second look")
    assert (reload(sandbox.pk).status, reload(sandbox.pk).deleted_at) == ("running", None)


def test_while_a_get_shows_the_older_state_it_is_repeated(
    watching: Watch, world: Emulator, running: Running
) -> None:
    sandbox = running()
    told: dict[str, Any] = {"id": sandbox.daytona_id, "state": "stopped", "desiredState": "stopped", "labels": {}}
    before = world.counts()["daytona"]["GET /sandbox/{id}"]
    world.send_event("sandbox.state.updated", {"sandbox": told})
    wait_until(lambda: world.counts()["daytona"]["GET /sandbox/{id}"] > before, what="a look")
    world.change(str(sandbox.daytona_id), state="stopped", quiet=True)
    shows(sandbox, "stopped")


def test_a_burst_about_one_sandbox_takes_few_looks(watching: Watch, world: Emulator, running: Running) -> None:
    sandbox = running()
    told: dict[str, Any] = {"id": sandbox.daytona_id, "state": "started", "desiredState": "started", "labels": {}}
    wait_until(lambda: not watching.hints._hints, what="rest")
    before = world.counts()["daytona"]["GET /sandbox/{id}"]
    world.send_event("sandbox.state.updated", {"sandbox": told}, times=50)
    world.change(str(sandbox.daytona_id), state="stopped")
    shows(sandbox, "stopped")
    assert world.counts()["daytona"]["GET /sandbox/{id}"] - before <= 10


def test_with_an_operation_active_its_own_attempts_look(watching: Watch, world: Emulator, running: Running) -> None:
    sandbox = running()
    do(sandbox, Action.STOP)
    assert reload(sandbox.pk).status == "stopped"
    texts = SandboxEvent.objects.filter(sandbox=sandbox, kind=EventKind.OPERATION)
    assert [event.text for event in texts.order_by("pk")][-2:] == ["Stop requested", "Stop succeeded"]


def test_sandboxes_of_others_are_not_looked_at(watching: Watch, world: Emulator, running: Running) -> None:
    (key,) = world.seed([{"name": "foreign"}])
    before = world.counts()["daytona"].get("GET /sandbox/{id}", 0)
    world.change(key, state="stopped")
    sandbox = running()
    world.change(str(sandbox.daytona_id), state="stopped")
    shows(sandbox, "stopped")
    assert not Sandbox.objects.filter(daytona_id=key).exists()
    assert before == 0


def test_what_happened_while_it_was_not_connected_shows_after_the_reconnect(
    watching: Watch, world: Emulator, running: Running
) -> None:
    sandbox = running()
    sweeps = Sweep.objects.count()
    world.change(str(sandbox.daytona_id), state="stopped", quiet=True)
    world.drop_connections()
    shows(sandbox, "stopped")
    wait_until(lambda: Sweep.objects.count() > sweeps, what="a sweep")


def test_a_sweep_that_was_under_way_is_followed_by_one_of_its_own(
    watching: Watch, world: Emulator, running: Running
) -> None:
    sandbox = running()
    other = leases.take(LEASE, holder="a long one", seconds=60)
    assert other is not None
    world.change(str(sandbox.daytona_id), state="stopped", quiet=True)
    watching.connected.clear()
    world.drop_connections()
    wait_until(watching.connected.is_set, what="a new connection")
    sweeps = Sweep.objects.count()
    leases.release(other)
    wait_until(lambda: Sweep.objects.count() > sweeps, what="a sweep of its own")
    shows(sandbox, "stopped")


def test_a_sweep_that_did_not_see_all_is_made_again(watching: Watch, world: Emulator, running: Running) -> None:
    sandbox = running()
    rule = world.faults.add("status", path=r"/sandbox\?", status=500)
    world.change(str(sandbox.daytona_id), state="stopped", quiet=True)
    world.drop_connections()
    wait_until(lambda: Sweep.objects.filter(result=Sweep.Result.PARTIAL).exists(), what="a partial sweep")
    world.faults.remove(rule)
    shows(sandbox, "stopped")


def test_a_sweep_that_breaks_ends_no_watching(
    watching: Watch, world: Emulator, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a full disk, where the ids of the list cannot be kept."""
    sandbox = running()
    broken = threading.Event()

    def full(*_: object, **__: object) -> None:
        broken.set()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sqlite3.connect", full)
    world.change(str(sandbox.daytona_id), state="stopped", quiet=True)
    world.drop_connections()
    wait_until(broken.is_set, what="a sweep that broke")
    monkeypatch.undo()
    shows(sandbox, "stopped")


def test_what_breaks_the_connection_leaves_it_not_deaf(
    world: Emulator, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = running()
    broken = threading.Event()
    client = socketio.Client

    def breaks_once(**given: Any) -> socketio.Client:
        if not broken.is_set():
            broken.set()
            raise OSError(24, "Too many open files")
        return client(**given)

    monkeypatch.setattr("socketio.Client", breaks_once)
    watch = Watch(daytona_events.stream(), stop=threading.Event())
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    wait_until(watch.connected.is_set, what="a connection after all")
    world.change(str(sandbox.daytona_id), state="stopped")
    shows(sandbox, "stopped")
    watch._stop.set()
    thread.join(PATIENCE)
    assert broken.is_set()


def test_a_refused_key_is_a_notice_and_no_storm(world: Emulator, settings: Settings) -> None:
    settings.DAYTONA_API_KEY = "dtn_wrong"
    stop = threading.Event()
    watch = Watch(daytona_events.stream(), stop=stop)
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    notices = Notice.objects.filter(code=NoticeCode.DAYTONA_UNAUTHORIZED)
    wait_until(notices.exists, what="the notice")
    stop.set()
    thread.join(PATIENCE)
    assert (thread.is_alive(), notices.get().count) == (False, 1)
