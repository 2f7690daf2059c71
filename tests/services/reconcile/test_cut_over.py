"""The cut-over: what the application's users wrote is afterwards as it was, except what the dry run announced.

30 boxes of 8 owners, made by the application's own functions and habits: Daytona has no name and no `harness_name`
of them, Convex has. Users renamed some, and took some off their list, which leaves the box in Daytona.
"""

from __future__ import annotations

import json
import sys
from copy import deepcopy
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command

from sandboxes import clock
from sandboxes.engine.worker import beside
from sandboxes.models import ConvexProjection, Operation, Sandbox
from sandboxes.providers.convex import gateway
from sandboxes.services.reconcile.changes import MOMENT
from tests.support import convex
from tests.support.application import Application, Published
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_django import Settings

    from tests.support.emulator import Emulator

STATES = ("started", "stopped", "archived", "error")
SHOWN = {"started": "running", "stopped": "stopped", "archived": "archived", "error": "error"}
CROWDED = "user_7"  # has five rows, as many as main allows, and two boxes that it took off its list
TABLES = ("sandboxes", "harnesses", "workspaces")
LEFT_ALONE: tuple[str, ...] = ()
ADOPTED = ("--adopt-unlisted",)
DELETED = ("--delete-unlisted", "--confirm", "4")
CREATED = {"_id", "_creationTime"}  # what Convex gives a new row by itself
Tables = dict[str, list[dict[str, Any]]]


class Installation:
    """What the replaced application and its users left in Daytona and in Convex."""

    def __init__(self, world: Emulator, published: Published, **options: Any) -> None:
        self.world = world
        self.application = Application(world, published, **options)
        self.names: dict[str, str] = {}
        self.removed = [self._removed(owner) for owner in (CROWDED, CROWDED, "user_1", "user_2")]
        owners = [f"user_{n % 7}" for n in range(21)] + [CROWDED] * 5
        self.listed = [self._listed(owner, n) for n, owner in enumerate(owners)]
        # As a removal on main leaves it: enabled, and pointing at nothing.
        self.application.harness("user_1", "left behind", daytonaSandboxId="long-gone")

    def _removed(self, owner: str) -> str:
        box = self.application.create(owner, "unwanted", harness_id=self.application.harness(owner))
        (row,) = convex.rows(self.world, box)
        convex.value_of(convex.call_as(self.world, owner, "sandboxes:remove", id=row["_id"]))
        return box

    def _listed(self, owner: str, n: int) -> str:
        harness = self.application.harness(owner, f"harness {n}")
        state = STATES[n % 4]
        box = self.application.create(
            owner, f"box {n}", harness_id=harness if n % 3 == 0 else "", state=state,
            createdAt=f"2026-10-{1 + n % 28:02d}T10:00:00.000Z",
        )  # fmt: skip
        status = "starting" if n in (4, 5) else SHOWN[state]  # where a crash of the application left it
        message = {"errorMessage": "as the application put it"} if n % 6 == 0 else {}
        convex.value_of(
            convex.call(self.world, "sandboxes:updateStatus", daytonaSandboxId=box, status=status, **message)
        )
        self.names[box] = f"Ünïcode “{n}”" if n % 2 else f"box {n}"
        self.application.change(owner, box, name=self.names[box])
        convex.seed(
            self.world, workspaces=[{"userId": owner, "name": f"workspace {n}", "sandboxId": self.row(box)}]
        )
        return box

    def row(self, box: str) -> str:
        return str(convex.rows(self.world, box)[0]["_id"])

    def tables(self) -> Tables:
        tables: Tables = self.world.control.get("/convex/rows").json()
        return {name: tables[name] for name in TABLES}

    def boxes(self) -> dict[str, dict[str, Any]]:
        """Daytona's rows of all 30, by id; None of those that are gone are in it."""
        found = {key: self.world.sandbox(key) for key in (*self.listed, *self.removed)}
        return {key: row for key, row in found.items() if row is not None and row["state"] != "destroyed"}


@pytest.fixture
def functions(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", "main"))


@pytest.fixture
def there(world: Emulator, functions: str, settings: Settings) -> Iterator[Installation]:
    settings.CONVEX_URL, settings.CONVEX_DEPLOY_KEY = world.convex_url, world.convex_key
    gateway.reset()
    published: dict[str, Published] = {"first": "first", "second": "second"}
    options = {"sandkeeper": True} if functions == "own" else {}
    yield Installation(world, published.get(functions, "main"), **options)
    gateway.reset()


def sweep(*options: str) -> int:
    """The exit code of one sweep."""
    with pytest.raises(SystemExit) as ended:
        call_command("reconcile_sandboxes", *options, stdout=StringIO())
    return int(ended.value.code or 0)


def work() -> None:
    """A worker does what is due now, and what becomes due by a lost call or a refusal within the next hours."""
    for _ in range(3):
        with beside(places=20):
            wait_until(at_rest, what="rest")
        clock.move(3600)


def at_rest() -> bool:
    is_due = ConvexProjection.objects.due(clock.now()).exists()
    return not (is_due or Operation.objects.active().exists() or Sandbox.objects.exclude(lease_token="").exists())


def as_announced(before: Tables, lines: list[dict[str, Any]]) -> Tables:
    """Convex's tables as the changes say that they become."""
    after = deepcopy(before)
    rows = {row["daytonaSandboxId"]: row for row in after["sandboxes"]}
    for line in lines:
        if line["system"] != "convex":
            continue
        if line["daytona_id"] not in rows:
            rows[line["daytona_id"]] = {"daytonaSandboxId": line["daytona_id"]}
            after["sandboxes"].append(rows[line["daytona_id"]])
        row = rows[line["daytona_id"]]
        assert line["before"] == row.get(line["field"]), line
        row[line["field"]] = line["after"]
        if line["after"] is None:
            del row[line["field"]]
    return after


def comparable(tables: Tables, before: Tables, lines: list[dict[str, Any]]) -> Tables:
    """The tables, with `MOMENT` for each time that was announced as such and has come since; without new ids."""
    known = {row["daytonaSandboxId"]: row for row in before["sandboxes"]}
    rows = {row["daytonaSandboxId"]: row for row in tables["sandboxes"]}
    for line in lines:
        key, row = line["field"], rows.get(line["daytona_id"])
        if line["system"] == "convex" and line["after"] == MOMENT and row is not None:
            assert row[key] > (line["before"] or 0), line
            row[key] = MOMENT
    for key in rows.keys() - known.keys():
        for name in CREATED:
            del rows[key][name]
    return tables


def by_id(tables: Tables) -> Tables:
    return tables | {"sandboxes": sorted(tables["sandboxes"], key=lambda row: str(row["daytonaSandboxId"]))}


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in sorted(path.read_text().splitlines())]


def of_convex(lines: list[dict[str, Any]]) -> set[str]:
    return {line["daytona_id"] for line in lines if line["system"] == "convex"}


@pytest.mark.parametrize(
    ("functions", "unlisted"),
    [
        *((functions, LEFT_ALONE) for functions in ("first", "second", "main", "own")),
        *((functions, unlisted) for functions in ("main", "own") for unlisted in (ADOPTED, DELETED)),
    ],
    indirect=["functions"],
    ids=lambda value: value if isinstance(value, str) else (*value, "left alone")[0],
)
def test_a_cut_over_changes_what_its_dry_run_announced_and_nothing_else(
    there: Installation, world: Emulator, functions: str, unlisted: tuple[str, ...], tmp_path: Path
) -> None:
    before, boxes, dry, real = there.tables(), there.boxes(), tmp_path / "dry.jsonl", tmp_path / "real.jsonl"
    assert all(row["name"] == key and "harness_name" not in row["labels"] for key, row in boxes.items())
    options = ("--adopt", "--verify-convex", *unlisted, "--changes")
    assert sweep("--dry-run", *options, str(dry)) == 2
    assert (Sandbox.objects.count(), there.tables(), there.boxes()) == (0, before, boxes)

    sweep(*options, str(real))
    announced = lines_of(dry)
    assert lines_of(real) == announced
    kept = Sandbox.objects.exclude(intent="deleted").filter(daytona_id__in=there.listed)
    assert dict(kept.values_list("daytona_id", "name")) == there.names
    work()

    put_back = {"user_1", "user_2", CROWDED} if unlisted == ADOPTED else set()
    expected = as_announced(before, announced)
    if (
        unlisted == ADOPTED and functions == "main"
    ):  # it refuses the sixth: what its owner has there keeps its place
        put_back.discard(CROWDED)
        expected["sandboxes"] = [
            row for row in expected["sandboxes"] if row["daytonaSandboxId"] not in there.removed[:2]
        ]
    assert by_id(comparable(there.tables(), before, announced)) == by_id(expected)
    new = {row["userId"] for row in there.tables()["sandboxes"] if row["daytonaSandboxId"] in there.removed}
    assert new == put_back
    assert of_convex(announced) >= set(there.listed[4:6])
    assert of_convex(announced) <= {*there.listed[4:6], *there.removed}

    gone = there.removed if unlisted == DELETED else []
    assert there.boxes() == {key: row for key, row in boxes.items() if key not in gone}
    assert sorted(line["id"] for line in world.log(system="daytona")) == sorted(gone)


@pytest.mark.parametrize("functions", ["first", "second", "main", "own"], indirect=True)
def test_what_users_do_in_the_application_afterwards_stays_too(there: Installation, world: Emulator) -> None:
    """The application's old doors are still open: its users rename and remove rows, and Daytona stops a box."""
    sweep("--adopt")
    work()
    renamed, removed, stopped = there.listed[0], there.listed[8], there.listed[12]
    there.application.change("user_0", renamed, name="mine", errorMessage="do not stop")
    convex.value_of(convex.call_as(world, "user_1", "sandboxes:remove", id=there.row(removed)))
    before = there.tables()
    for key in (renamed, removed, stopped):
        world.change(key, state="stopped")
    for _ in range(2):
        clock.move(3600)
        sweep()
        work()
    after = there.tables()
    told = {row["daytonaSandboxId"] for row in after["sandboxes"] if row["status"] == "stopped"}
    assert told >= {renamed, stopped}
    for row in (*before["sandboxes"], *after["sandboxes"]):
        if row["daytonaSandboxId"] in (renamed, stopped):
            row |= {"status": "stopped", "lastAccessedAt": 0}
    assert after == before


def test_without_a_way_to_read_names_none_is_known_and_none_is_pushed(there: Installation, world: Emulator) -> None:
    """A key that may not act as a user, on a set that lists no names to it."""
    before = there.tables()
    rules = {
        "permissions": ["deployment:functions:runInternalQueries", "deployment:functions:runInternalMutations"]
    }
    world.settings(convex_keys={world.convex_key: rules})
    gateway.reset()
    sweep("--adopt")
    assert set(Sandbox.objects.values_list("name", flat=True)) == {""}
    assert Sandbox.objects.count() == len(there.listed)
    work()
    shown = [(row["name"], row.get("harnessId")) for row in there.tables()["sandboxes"]]
    assert shown == [(row["name"], row.get("harnessId")) for row in before["sandboxes"]]
    assert there.tables()["harnesses"] == before["harnesses"]


def test_the_dry_run_names_each_that_is_unlisted_with_owner_state_and_age(there: Installation) -> None:
    told = StringIO()
    with pytest.raises(SystemExit):
        call_command("reconcile_sandboxes", "--adopt", "--dry-run", "--json", stdout=told)
    found = json.loads(told.getvalue())["findings"]
    unlisted = [one for one in found if one["kind"] == "unlisted"]
    assert {one["daytona_id"]: one["owner"] for one in unlisted} == dict(
        zip(there.removed, (CROWDED, CROWDED, "user_1", "user_2"), strict=True)
    )
    assert {one["text"] for one in unlisted} == {
        "started in Daytona, created 0 days ago; Convex does not list it: left alone"
    }
    changes = {(change["system"], change["field"]) for one in found for change in one["changes"]}
    assert {("sandkeeper", "name"), ("convex", "status"), ("convex", "lastAccessedAt")} <= changes


def test_what_is_unlisted_is_deleted_only_with_its_number(there: Installation) -> None:
    with pytest.raises(CommandError, match="4 are unlisted, and 26 were confirmed"):
        call_command("reconcile_sandboxes", "--adopt", "--delete-unlisted", "--confirm", "26")
    assert not Sandbox.objects.exists()


@pytest.mark.parametrize(("typed", "deleted"), [("4", 4), ("yes", 0), ("26", 0)])
def test_on_a_terminal_the_number_is_asked_for(
    there: Installation, monkeypatch: pytest.MonkeyPatch, typed: str, deleted: int
) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    told = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(f"{typed}\n"))
    with pytest.raises(SystemExit if deleted else CommandError):
        call_command("reconcile_sandboxes", "--adopt", "--delete-unlisted", stdout=told)
    assert "These 4 will be deleted in Daytona, with all that is in them." in told.getvalue()
    assert Operation.objects.filter(action="delete").count() == deleted
    assert Sandbox.objects.exists() == bool(deleted)
