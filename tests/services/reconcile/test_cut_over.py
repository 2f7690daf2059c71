"""The cut-over: what the application's users wrote is afterwards as it was, except what the dry run announced.

30 boxes of 8 owners, made as the application makes them: Daytona has no name and no `harness_name` of them, Convex
has. Some were deleted by their users on main, which removes Convex's row and leaves the box in Daytona.
"""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command

from sandboxes import clock
from sandboxes.models import ConvexProjection, Operation, Sandbox
from sandboxes.providers.convex import gateway
from sandboxes.services import projection
from sandboxes.services.reconcile.changes import MOMENT
from tests.support import convex

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_django import Settings

    from tests.support.emulator import Emulator

STATES = ("started", "stopped", "archived", "error")
SHOWN = {"started": "running", "stopped": "stopped", "archived": "archived", "error": "error"}
CROWDED = "user_7"  # has five rows, as many as main allows, and two boxes that it took off its list
Tables = dict[str, list[dict[str, Any]]]


@dataclass
class Application:
    """What the replaced application and its users left in Daytona and in Convex."""

    world: Emulator
    listed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def fill(self) -> None:
        owners = [f"user_{n % 7}" for n in range(21)] + [CROWDED] * 5
        self.listed = [self._create(owner, n) for n, owner in enumerate(owners)]
        removed = [CROWDED, CROWDED, "user_1", "user_2"]
        self.removed = [self._create(owner, 100 + n, listed=False) for n, owner in enumerate(removed)]

    def _create(self, owner: str, n: int, *, listed: bool = True) -> str:
        state = STATES[n % 4]
        labels = {"harness_user_id": owner, "harness_resource_tier": "basic", "code-toolbox-language": "python"}
        template = {"state": state, "labels": labels, "createdAt": f"2026-10-{1 + n % 28:02d}T10:00:00.000Z"}
        (key,) = self.world.seed([template])
        if listed:
            self._show(key, owner, n, state)
        return key

    def _show(self, key: str, owner: str, n: int, state: str) -> None:
        harness: dict[str, Any] = {"_id": "$harness", "userId": owner, "name": f"harness {n}"}
        row = convex.sandbox_row(
            key, userId=owner, name=f"Ünïcode box {n}", status=SHOWN[state], ephemeral=n % 5 == 0
        )
        row |= {"_id": "$sandbox", "lastAccessedAt": 1_700_000_000_000 + n}
        if n % 3 == 0:
            harness |= {"sandboxEnabled": True, "sandboxId": "$sandbox", "daytonaSandboxId": key}
            row |= {"harnessId": "$harness"}
        if n % 6 == 0:
            row |= {"errorMessage": "as the application put it"}
        if n in (4, 5):
            row |= {"status": "starting"}  # where a crash of the application left it
        convex.seed(self.world, sandboxes=[row], harnesses=[harness])

    def tables(self) -> Tables:
        tables: Tables = self.world.control.get("/convex/rows").json()
        return {name: tables[name] for name in ("sandboxes", "harnesses", "workspaces")}


@pytest.fixture
def functions(request: pytest.FixtureRequest, world: Emulator, settings: Settings) -> Iterator[str]:
    name: str = getattr(request, "param", "main")
    options = {"functions": "main", "sandkeeper": True} if name == "own" else {"functions": name}
    world.settings(convex=options)
    settings.CONVEX_URL, settings.CONVEX_DEPLOY_KEY = world.convex_url, world.convex_key
    gateway.reset()
    yield name
    gateway.reset()


@pytest.fixture
def application(world: Emulator, functions: str) -> Application:
    there = Application(world)
    there.fill()
    return there


def import_(*options: str) -> int:
    """The exit code of one import."""
    with pytest.raises(SystemExit) as ended:
        call_command("reconcile_sandboxes", "--adopt", *options, stdout=StringIO())
    return int(ended.value.code or 0)


def push_all() -> None:
    """What is due now, and what becomes due by a lost call or a refusal within the next day."""
    for _ in range(3):
        due = ConvexProjection.objects.due(clock.now())
        projection.push_many(list(due.values_list("pk", flat=True)))
        clock.move(3600)


def as_announced(before: Tables, lines: list[dict[str, Any]]) -> Tables:
    """Convex's tables as the changes say that they become."""
    after = deepcopy(before)
    rows = {row["daytonaSandboxId"]: row for row in after["sandboxes"]}
    for line in lines:
        if line["system"] != "convex":
            continue
        row = rows[line["daytona_id"]]
        assert line["before"] == row.get(line["field"]), line
        row[line["field"]] = line["after"]
        if line["after"] is None:
            del row[line["field"]]
    return after


def without_moments(tables: Tables, lines: list[dict[str, Any]]) -> Tables:
    """`MOMENT` stands for a time that nobody knows before."""
    moved = {line["daytona_id"] for line in lines if line["after"] == MOMENT}
    for row in tables["sandboxes"]:
        if row["daytonaSandboxId"] in moved:
            row["lastAccessedAt"] = MOMENT
    return tables


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in sorted(path.read_text().splitlines())]


@pytest.mark.parametrize("functions", ["first", "second", "main", "own"], indirect=True)
def test_a_cut_over_changes_what_its_dry_run_announced_and_nothing_else(
    application: Application, world: Emulator, functions: str, tmp_path: Path
) -> None:
    before, dry, real = application.tables(), tmp_path / "dry.jsonl", tmp_path / "real.jsonl"
    code = import_("--verify-convex", "--dry-run", "--changes", str(dry))
    assert (code, Sandbox.objects.count(), application.tables()) == (2, 0, before)
    import_("--verify-convex", "--changes", str(real))
    names = dict(Sandbox.objects.values_list("daytona_id", "name"))
    assert names == {key: f"Ünïcode box {n}" for n, key in enumerate(application.listed)}
    assert lines_of(real) == lines_of(dry)
    push_all()
    announced = lines_of(dry)
    assert without_moments(application.tables(), announced) == as_announced(before, announced)
    changed = {line["daytona_id"] for line in announced if line["system"] == "convex"}
    assert changed == {application.listed[4], application.listed[5]}
    assert world.log(system="daytona") == []
    assert not Operation.objects.exists()


def test_without_a_way_to_read_names_none_is_known_and_none_is_pushed(
    application: Application, world: Emulator
) -> None:
    """A key that may not act as a user, on a set that lists no names to it."""
    before = application.tables()
    rules = {
        "permissions": ["deployment:functions:runInternalQueries", "deployment:functions:runInternalMutations"]
    }
    world.settings(convex_keys={world.convex_key: rules})
    gateway.reset()
    import_()
    assert set(Sandbox.objects.values_list("name", flat=True)) == {""}
    assert Sandbox.objects.count() == len(application.listed)
    push_all()
    shown = [(row["name"], row.get("harnessId")) for row in application.tables()["sandboxes"]]
    assert shown == [(row["name"], row.get("harnessId")) for row in before["sandboxes"]]
    assert application.tables()["harnesses"] == before["harnesses"]


def test_what_is_unlisted_is_taken_over_when_an_operator_says_so(application: Application) -> None:
    import_("--adopt-unlisted")
    assert set(Sandbox.objects.values_list("daytona_id", flat=True)) == {*application.listed, *application.removed}


def test_what_is_unlisted_is_deleted_only_with_its_number(
    application: Application,
) -> None:
    before = application.tables()
    with pytest.raises(CommandError, match="4 are unlisted, and 26 were confirmed"):
        call_command("reconcile_sandboxes", "--adopt", "--delete-unlisted", "--confirm", "26")
    assert not Sandbox.objects.exists()
    import_("--delete-unlisted", "--confirm", "4")
    deletes = Operation.objects.filter(action="delete").values_list("sandbox__daytona_id", flat=True)
    assert set(deletes) == set(application.removed)
    push_all()
    assert len(application.tables()["sandboxes"]) == len(before["sandboxes"])
