"""People's own labels: given, merged, filtered by; and in Daytona beside ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.core.asked import labels_of
from sandboxes.core.labels import MOST
from sandboxes.models import AuditEntry, Sandbox
from sandboxes.services import reconcile
from sandboxes.services.reconcile import Options
from tests.api.callers import Api, problem
from tests.support import rows
from tests.support.driving import reload, settle, settled_status

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.emulator import Emulator

pytestmark = pytest.mark.django_db


def labels(api: Api, sandbox: Sandbox) -> Any:
    return api.get(f"/sandboxes/{sandbox.pk}").json()["labels"]


def change(api: Api, sandbox: Sandbox, labels: Any) -> Any:
    return api.patch(f"/sandboxes/{sandbox.pk}", {"labels": labels})


def test_they_are_given_at_the_create(alice: Api) -> None:
    made = alice.post("/sandboxes", {"labels": {"team": "core", "run": "7"}}).json()
    assert alice.get(f"/sandboxes/{made['sandbox']}").json()["labels"] == {"team": "core", "run": "7"}


def test_a_patch_is_merged(alice: Api, atlas: Sandbox) -> None:
    assert change(alice, atlas, {"team": "core", "run": "7"}).json()["labels"] == {"team": "core", "run": "7"}
    assert change(alice, atlas, {"run": None, "more": "x"}).json()["labels"] == {"team": "core", "more": "x"}
    assert alice.patch(f"/sandboxes/{atlas.pk}", {"name": "other"}).json()["labels"] == {
        "team": "core",
        "more": "x",
    }
    assert change(alice, atlas, None).json()["labels"] == {}
    assert AuditEntry.objects.filter(action="settings").count() == 3


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"sandkeeper_id": "x"}, "labels.sandkeeper_id"),
        ({"a b": "x"}, "labels.a b"),
        ({"team": ""}, "labels.team"),
        ({"team": 7}, "labels"),
        ({"team": "\u202e"}, "labels.team"),
        (["team"], "labels"),
        ({f"n{number}": "x" for number in range(MOST + 1)}, "labels"),
    ],
)
def test_what_does_not_fit_is_named(alice: Api, atlas: Sandbox, given: Any, field: str) -> None:
    for answer in (alice.post("/sandboxes", {"labels": given}), change(alice, atlas, given)):
        found = problem(answer, "invalid_request")
        assert [error["field"] for error in found["errors"]] == [field]
    assert labels(alice, atlas) == {}


def test_null_is_for_a_change_alone(alice: Api) -> None:
    assert (
        "labels.team" in problem(alice.post("/sandboxes", {"labels": {"team": None}}), "invalid_request")["detail"]
    )


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("label=team:core", ["a", "b"]),
        ("label=team:core&label=run:7", ["a"]),
        ("label=team:core&label=team:edge", []),
        ("label=run:8", ["b"]),
        ("label=run:7%3A8", ["c"]),
        ("label=team:cor", []),
        ("label=none:x", []),
        ("label=team:core&status=stopped", ["b"]),
        ("label=team:it's%22%25%5C", ["d"]),
    ],
)
def test_a_list_is_filtered_by_them(alice: Api, query: str, names: list[str]) -> None:
    rows.sandbox("a", of="alice", user_labels={"team": "core", "run": "7"})
    rows.sandbox("b", of="alice", user_labels={"team": "core", "run": "8"}, status="stopped")
    rows.sandbox("c", of="alice", user_labels={"team": "edge", "run": "7:8"})
    rows.sandbox("d", of="alice", user_labels={"team": "it's\"%\\"})
    rows.sandbox("e", of="alice")
    rows.sandbox("bobs", of="bob", user_labels={"team": "core", "run": "7"})
    found = alice.get(f"/sandboxes?{query}&order=name").json()["results"]
    assert [one["name"] for one in found] == names


@pytest.mark.parametrize(
    "query", ["label=team", "label=:core", "label=team:", "label=team:core&label=x", "label=7:x", "label=a:%00"]
)
def test_a_filter_that_names_no_pair_is_refused(alice: Api, query: str) -> None:
    found = problem(alice.get(f"/sandboxes?{query}"), "invalid_request")
    assert [(one["field"], one["message"]) for one in found["errors"]] == [("label", "Write name:value.")]


# --- in Daytona


def held(world: Emulator, sandbox: Sandbox) -> Any:
    remote = world.sandbox(str(sandbox.daytona_id))
    assert remote is not None
    return remote["labels"]


def test_daytona_has_them_beside_ours(world: Emulator, running: Callable[..., Sandbox], alice: Api) -> None:
    box = running(labels={"team": "core", "run": "7"})
    assert held(world, box) == labels_of(box)
    assert held(world, box)["team"] == "core"
    world.change(str(box.daytona_id), labels={**held(world, box), "theirs": "x"})
    change(alice, box, {"team": "edge", "run": None})
    assert settled_status(box.pk) == "running"
    assert held(world, box) == labels_of(reload(box.pk)) | {"theirs": "x"}
    assert (held(world, box)["team"], "run" in held(world, box)) == ("edge", False)
    assert reload(box.pk).pending_changes == {}


def test_one_that_is_changed_in_daytona_is_a_difference_and_put_back_by_a_sweep(
    world: Emulator, running: Callable[..., Sandbox], alice: Api
) -> None:
    box = running(labels={"team": "core"})
    world.change(str(box.daytona_id), labels={**held(world, box), "team": "theirs"})
    settle(*[alice_sync(alice, box)])
    (one,) = alice.get(f"/sandboxes/{box.pk}").json()["differences"]
    assert one == {"field": "labels.team", "asked": "core", "observed": "theirs", "pending": False}
    reconcile.sweep()
    assert settled_status(box.pk) == "running"
    assert held(world, box)["team"] == "core"


def alice_sync(alice: Api, box: Sandbox) -> Any:
    made = alice.post(f"/sandboxes/{box.pk}/sync").json()
    return box.operations.get(pk=made["id"])


def test_an_import_takes_them_over(world: Emulator, alice: Api) -> None:
    (key,) = world.seed([{"labels": {"harness_user_id": "alice", "team": "core", "Daytona/x": "y"}}])
    reconcile.sweep(Options(adopt=True))
    shown = alice.get(f"/sandboxes/{key}").json()
    assert (shown["labels"], shown["differences"]) == ({"team": "core"}, [])
    assert [one["id"] for one in alice.get("/sandboxes?label=team:core").json()["results"]] == [shown["id"]]
