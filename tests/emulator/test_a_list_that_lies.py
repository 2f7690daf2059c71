"""Lists that lie, each by its switch; and what no switch is needed for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.emulator.wire import Wire
    from tests.support.emulator import Emulator

STABLE = {"sort": "createdAt", "order": "asc"}


def states(wire: Wire) -> dict[str, str]:
    return {item["id"]: item["state"] for item in wire.items(**STABLE)}


def walk(wire: Wire, pages: int, **query: str) -> list[list[str]]:
    """The names on each of at most so many pages."""
    seen, cursor = [], ""
    for _ in range(pages):
        body = wire.client.get("/sandbox", params=query | ({"cursor": cursor} if cursor else {})).json()
        seen.append([item["name"] for item in body["items"]])
        cursor = body["nextCursor"]
        if not cursor:
            break
    return seen


def test_a_deleted_sandbox_comes_back_started_while_get_says_gone(emulator: Emulator, wire: Wire) -> None:
    emulator.settings(list_stale=10)
    (key,) = emulator.seed(count=1)
    wire.delete(key)
    wire.until(key, "gone")
    assert key not in states(wire)
    emulator.advance(3)
    assert (states(wire)[key], wire.state(key)) == ("started", "gone")
    emulator.advance(4)
    assert (states(wire)[key], wire.state(key)) == ("destroying", "gone")
    emulator.advance(4)
    assert key not in states(wire)


def test_rows_flap(emulator: Emulator, wire: Wire) -> None:
    emulator.seed(count=20)
    emulator.settings(list_flapping=0.3)
    counts = {len(wire.items()) for _ in range(20)}
    assert max(counts) <= 20
    assert len(counts) > 2


def test_rows_move_between_pages(emulator: Emulator, wire: Wire) -> None:
    emulator.seed(count=6, name="s{n}")
    emulator.settings(list_moving=True)
    assert walk(wire, 9, limit="2", **STABLE) == [["s0", "s1"], ["s3"], ["s5"]]


def test_pages_repeat_without_end(emulator: Emulator, wire: Wire) -> None:
    emulator.seed(count=6, name="s{n}")
    emulator.settings(list_repeating=True)
    assert walk(wire, 5, limit="2", **STABLE) == [["s0", "s1"], *[["s2", "s3"]] * 4]


def test_labels_that_are_no_strings_poison_the_list_for_strict_readers(emulator: Emulator, wire: Wire) -> None:
    emulator.seed([{"name": "fine"}, {"name": "odd", "labels": {"n": 1}}, {"name": "null", "labels": None}])
    labels = {item["name"]: item["labels"] for item in wire.items()}
    assert labels == {"fine": {}, "odd": {"n": 1}, "null": None}


def test_a_label_filter_passes_over_labels_that_are_none(emulator: Emulator, wire: Wire) -> None:
    emulator.seed([{"name": "mine", "labels": {"owner": "ada"}}, {"labels": None}, {"labels": "owner"}])
    assert wire.names(labels='{"owner": "ada"}') == ["mine"]


def test_a_list_can_fail_while_the_database_is_down(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1)
    emulator.settings(database="down")
    assert wire.client.get("/sandbox").status_code == 500
    assert wire.get(key).json()["message"] == f"Sandbox with ID or name {key} not found"
    emulator.advance(10)
    assert wire.client.get("/sandbox").status_code == 503
    emulator.settings(database="up")
    assert wire.state(key) == "started"


def test_the_lie_about_the_database_can_last(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1)
    emulator.settings(database="down", key_cache=1e9)
    emulator.advance(3600)
    assert wire.get(key).status_code == 404


def test_filters_by_number_region_and_kind(emulator: Emulator, wire: Wire) -> None:
    emulator.seed([{"name": "small"}, {"name": "big", "cpu": 4, "target": "eu", "public": True}])
    assert wire.names(minCpu="2") == ["big"]
    assert wire.names(maxCpu="2") == ["small"]
    assert wire.names(regionIds="eu") == ["big"]
    assert wire.names(isPublic="true") == ["big"]
    assert wire.names(snapshots="nope") == []
    assert wire.names(createdAtAfter="2999-01-01T00:00:00.000Z") == []


def test_another_organisation_is_not_listed(emulator: Emulator, wire: Wire) -> None:
    emulator.seed(count=1, organizationId="22222222-2222-4222-8222-222222222222")
    assert wire.items() == []
