"""What Daytona makes of requests that its own client does not send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.wire import Wire, message

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

UNSAFE = "name must not contain HTML tags, URLs, or control characters"


@pytest.mark.parametrize("name", ["<b>box</b>", "see https://example.com", "www.example.com", "box\x07"])
def test_a_name_that_could_harm_who_reads_it_is_refused(wire: Wire, name: str) -> None:
    answer = wire.create(name=name)
    assert (answer.status_code, message(answer)) == (400, UNSAFE)


@pytest.mark.parametrize("name", ["a < b", "data-1", "line\nline", None])
def test_any_other_name_is_taken(wire: Wire, name: str | None) -> None:
    assert wire.create(name=name).status_code == 200


def test_a_name_that_is_no_string_has_two_faults(wire: Wire) -> None:
    assert message(wire.create(name=7)) == f"{UNSAFE}, name must be a string"


def test_a_body_of_another_type_is_not_read(wire: Wire) -> None:
    headers = {"Content-Type": "text/plain"}
    answer = wire.client.post("/sandbox", content=b"{no json", headers=headers)
    assert answer.status_code == 200
    assert answer.json()["name"] == answer.json()["id"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/sandbox", 200),
        ("HEAD", "/sandbox/box", 200),
        ("OPTIONS", "/sandbox", 204),
        ("GET", "/sandbox/", 200),
        ("GET", "/sandbox/box/", 200),
        ("POST", "/sandbox/box/stop/", 200),
        ("DELETE", "/sandbox/box/", 200),
    ],
)
def test_a_route_is_found(emulator: Emulator, wire: Wire, method: str, path: str, status: int) -> None:
    emulator.seed([{"name": "box"}])
    answer = wire.client.request(method, path)
    assert answer.status_code == status
    assert bool(answer.content) == (method not in ("HEAD", "OPTIONS"))


def test_a_head_changes_nothing(emulator: Emulator, wire: Wire) -> None:
    emulator.seed([{"name": "box"}])
    wire.client.head("/sandbox/box")
    assert emulator.log() == []


@pytest.mark.parametrize(("labels", "status"), [("[1]", 500), ("null", 200), ("{", 400), ("{}", 200)])
def test_labels_of_a_list(emulator: Emulator, wire: Wire, labels: str, status: int) -> None:
    emulator.seed(count=1)
    answer = wire.client.get("/sandbox", params={"labels": labels})
    assert answer.status_code == status
    assert len(answer.json().get("items", [])) == (status == 200)


@pytest.mark.parametrize("labels", [{}, None])
def test_anyone_may_wipe_the_labels(emulator: Emulator, wire: Wire, labels: Any) -> None:
    (key,) = emulator.seed(count=1, labels={"sandkeeper-id": "1"})
    assert wire.client.put(f"/sandbox/{key}/labels", json={"labels": labels}).status_code == 200
    assert wire.get(key).json()["labels"] == labels
