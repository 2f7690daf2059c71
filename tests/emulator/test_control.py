"""The control API: log, counts, settings, rows, clock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.emulator.wire import Wire
    from tests.support.emulator import Emulator


def test_the_log_has_numbers_times_and_names(emulator: Emulator, wire: Wire) -> None:
    began = time.time()
    key = wire.create(name="box", labels={"a": "b"}).json()["id"]
    wire.client.put(f"/sandbox/{key}/labels", json={"labels": {"c": "d"}})
    created, labelled = emulator.log()
    assert (created["seq"], labelled["seq"], emulator.last_log()) == (1, 2, 2)
    assert began <= created["time"] <= labelled["time"] <= time.time()
    assert (created["system"], created["action"], created["id"]) == ("daytona", "create", key)
    assert (labelled["action"], labelled["name"], labelled["detail"]) == ("labels", "box", {"c": "d"})


def test_the_log_can_be_read_from_a_number_on_and_filtered(emulator: Emulator, wire: Wire) -> None:
    one, other = emulator.seed(count=2)
    wire.post(one, "stop")
    wire.post(other, "stop")
    assert [entry["id"] for entry in emulator.log(since=1)] == [other]
    assert [entry["id"] for entry in emulator.log(key=one)] == [one]
    assert emulator.log(action="start") == emulator.log(system="convex") == emulator.log(since=2) == []


def test_refused_calls_are_not_logged(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1, state="stopped")
    assert wire.post(key, "stop").status_code == 400
    assert emulator.log() == []


def test_calls_are_counted_by_route(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1)
    wire.get(key)
    wire.get("nobody")
    wire.items()
    wire.post(key, "autostop/5")
    wire.client.get("/sandbox/paginated")
    assert emulator.counts()["daytona"] == {
        "GET /sandbox/{id}": 2,
        "GET /sandbox": 1,
        "POST /sandbox/{id}/autostop/{minutes}": 1,
        "GET /sandbox/paginated": 1,
    }


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"colour": "red"}, "unknown setting 'colour'"),
        ({"transition": "fast"}, "transition must be a float"),
        ({"runner": "asleep"}, "runner must be one of ready, dead"),
        ({"list_moving": 1}, "list_moving must be a bool"),
        ({"keys": {"dtn_x": {}}}, "each of keys must have organization, permissions"),
        ({"throttles": {"authenticated": 5}}, "each of throttles must have limit, window"),
        ({"convex": {"functions": "fourth"}}, "convex.functions must be one of"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(emulator: Emulator, changes: dict[str, str], word: str) -> None:
    before = emulator.settings()
    answer = emulator.control.patch("/settings", json=changes | {"hold": 1.0})
    assert answer.status_code == 400
    assert word in answer.json()["error"]
    assert emulator.settings() == before


def test_rows_are_seeded_in_bulk(emulator: Emulator, wire: Wire) -> None:
    ids = emulator.seed(count=5000, name="s-{n}", state="stopped", labels={"a": "b"})
    assert len(set(ids)) == 5000
    assert wire.get("s-4999").json()["labels"] == {"a": "b"}
    assert emulator.state(name="s-7")["sandboxes"][0]["desired"] == "stopped"
    assert emulator.log() == []


def test_the_state_is_paged(emulator: Emulator) -> None:
    ids = sorted(emulator.seed(count=5))
    first = emulator.state(limit="3")
    rest = emulator.state(after=first["sandboxes"][-1]["id"])
    assert [row["id"] for row in first["sandboxes"] + rest["sandboxes"]] == ids
    assert first["total"] == 5


def test_an_unknown_field_of_a_row_is_refused(emulator: Emulator) -> None:
    answer = emulator.control.post("/sandboxes", json={"sandboxes": [{"colour": "red"}]})
    assert answer.status_code == 400
    assert "unknown field 'colour'" in answer.json()["error"]


def test_a_sandbox_changes_from_outside(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1)
    emulator.change(key, state="error", errorReason="out of memory", recoverable=True)
    body = wire.get(key).json()
    assert (body["state"], body["errorReason"], body["recoverable"]) == ("error", "out of memory", True)


def test_a_sandbox_crashes_and_its_desired_state_follows(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1)
    emulator.change(key, state="stopped")
    assert wire.get(key).json()["desiredState"] == "stopped"


def test_labels_changed_from_outside_do_not_disturb_a_start(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1, state="stopped")
    emulator.settings(hold=0.0, transition=30)
    wire.post(key, "start")
    emulator.change(key, labels={"a": "b"})
    emulator.advance(31)
    assert wire.state(key) == "started"


def test_a_sandbox_vanishes(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed([{"name": "box"}])
    emulator.vanish(key)
    assert wire.state(key) == "gone"
    assert wire.items() == []
    assert wire.create(name="box").status_code == 200


def test_what_is_not_there_cannot_be_changed(emulator: Emulator) -> None:
    assert emulator.control.patch("/sandboxes/nobody", json={"state": "error"}).status_code == 404
    assert emulator.control.delete("/sandboxes/nobody").status_code == 404


def test_a_stopped_clock_moves_only_when_told(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1)
    emulator.settings(race=0.0, transition=5)
    began = emulator.stop_clock()
    wire.post(key, "stop")
    assert emulator.now() == began
    assert emulator.step() == pytest.approx(began + 0.015, abs=0.001)
    assert emulator.step() == pytest.approx(began + 5.015, abs=0.001)
    assert wire.state(key) == "stopped"


def test_time_that_was_advanced_stays_ahead(emulator: Emulator) -> None:
    emulator.advance(3600)
    assert 3590 < emulator.now() - time.time() < 3610
    emulator.reset()
    assert abs(emulator.now() - time.time()) < 10


def test_reset_takes_everything_back(emulator: Emulator, wire: Wire) -> None:
    wire.create(name="box")
    emulator.settings(suspended="for a test")
    emulator.faults.add("status")
    emulator.reset(transition=0.01)
    assert wire.items() == []
    assert emulator.log() == []
    settings = emulator.settings()
    assert (settings["suspended"], settings["transition"]) == (None, 0.01)


def test_one_that_was_deleted_in_error_can_be_changed_and_taken_away(emulator: Emulator, wire: Wire) -> None:
    """Daytona answers 404 for it from the moment of the delete, and keeps the row."""
    (key,) = emulator.seed(count=1, state="error")
    wire.client.delete(f"/sandbox/{key}")
    assert wire.get(key).status_code == 404
    assert emulator.change(key, error_reason="disk")["error_reason"] == "disk"
    emulator.vanish(key)
    assert emulator.sandbox(key) is None
    assert emulator.control.delete(f"/sandboxes/{key}").status_code == 404
