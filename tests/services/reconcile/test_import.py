"""Taking over a running installation of the replaced application: 180 sandboxes, with all that it left behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from sandboxes import clock
from sandboxes.models import ConvexProjection, Operation, Sandbox, Sweep
from sandboxes.providers.convex import gateway
from sandboxes.services import projection, reconcile
from sandboxes.services.reconcile import Options, SweepResult
from tests.support import convex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import Settings

    from tests.support.emulator import Emulator

IMPORT = Options(adopt=True, verify_convex=True)
OWNERS = 120
STATES = ("started", "stopped", "archived", "started", "error")
SHOWN = {"started": "running", "stopped": "stopped", "archived": "archived", "error": "error"}


@dataclass
class Installation:
    """What the replaced application left; the numbers are of sandboxes or of Convex's rows."""

    alike: int = 80
    stale: int = 40  # Convex shows an older status
    without_row: int = 30
    twice_in_convex: int = 15
    renamed: int = 15  # a rename there wiped the labels; only Convex knows the owner
    rows_without_sandbox: int = 20
    others: int = 12
    destroyed: int = 8
    ids: dict[str, list[str]] = field(default_factory=dict)

    @property
    def sandboxes(self) -> int:
        return self.alike + self.stale + self.without_row + self.twice_in_convex + self.renamed

    def seed(self, world: Emulator) -> None:
        for kind in ("alike", "stale", "without_row", "twice_in_convex", "renamed"):
            self._seed(world, kind, getattr(self, kind))
        lost = [convex.sandbox_row(f"lost-{n}", userId=owner_of(n)) for n in range(self.rows_without_sandbox)]
        convex.seed(world, sandboxes=lost)
        world.seed(count=self.others, name="other-{n}", labels={"team": "research"})
        world.seed(
            [
                {"name": f"DESTROYED_box-{n}_1795414314096", "state": "destroying", "labels": labels(n)}
                for n in range(self.destroyed)
            ]
        )

    def _seed(self, world: Emulator, kind: str, count: int) -> None:
        templates = [
            {
                "name": f"{kind}-{n}",
                "state": STATES[n % len(STATES)],
                "labels": {"harness_name": f"{kind} {n}"} if kind == "renamed" else labels(n),
                "createdAt": f"2026-10-{1 + n % 28:02d}T10:00:00.000Z",
            }
            for n in range(count)
        ]
        self.ids[kind] = world.seed(templates)
        rows = [row for n, key in enumerate(self.ids[kind]) for row in self._rows(kind, n, key)]
        convex.seed(world, sandboxes=rows)

    def _rows(self, kind: str, n: int, key: str) -> list[dict[str, Any]]:
        status = SHOWN[STATES[n % len(STATES)]]
        name = f"renamed {n}" if kind == "renamed" else f"{kind}-{n}"
        row = convex.sandbox_row(key, userId=owner_of(n), name=name, status=status)
        if kind == "stale":
            return [row | {"status": "creating"}]
        return [row] * {"without_row": 0, "twice_in_convex": 2}.get(kind, 1)


def owner_of(n: int) -> str:
    return f"user_{n % OWNERS}"


def labels(n: int) -> dict[str, str]:
    return {"harness_user_id": owner_of(n), "harness_resource_tier": "basic", "code-toolbox-language": "python"}


@pytest.fixture
def with_convex(world: Emulator, settings: Settings) -> Iterator[None]:
    settings.CONVEX_URL, settings.CONVEX_DEPLOY_KEY = world.convex_url, world.convex_key
    yield
    gateway.reset()


@pytest.fixture
def installation(world: Emulator, with_convex: None) -> Installation:
    there = Installation()
    there.seed(world)
    return there


@pytest.fixture
def small(world: Emulator, with_convex: None) -> Installation:
    there = Installation(alike=5, stale=4, without_row=3, twice_in_convex=2, renamed=2, rows_without_sandbox=2)
    there.seed(world)
    return there


def with_functions(world: Emulator, name: str) -> None:
    world.settings(convex={"functions": "second", "sandkeeper": True} if name == "own" else {"functions": name})
    gateway.reset()


def kinds(result: SweepResult) -> dict[str, int]:
    counts = result.report.counts
    said = {name.removeprefix("convex_"): counts[name] for name in counts if name.startswith("convex_")}
    return {name: count for name, count in said.items() if not name.startswith(("compared", "cannot"))}


def remote_changes(world: Emulator) -> list[dict[str, Any]]:
    return world.log()


@pytest.mark.parametrize("functions", ["second", "own"])
def test_an_import_takes_over_all_and_changes_nothing_remote(
    world: Emulator, installation: Installation, functions: str
) -> None:
    with_functions(world, functions)
    result = reconcile.sweep(IMPORT)
    assert (result.result, result.exit_code) == (Sweep.Result.COMPLETE, 2)
    counts = result.report.counts
    assert (counts["adopted"], counts["unlisted"], counts["foreign"], counts["ending"]) == (150, 30, 12, 8)
    assert remote_changes(world) == []
    assert not Operation.objects.exists()
    # What Convex shows otherwise was seen by the import itself, and is due for a push.
    assert kinds(result)["checked"] == 110
    assert (kinds(result)["unknown"], kinds(result)["duplicate"]) == (20, 15)
    twins = 15 if functions == "own" else 0  # only our own function can make one row of two
    assert ConvexProjection.objects.behind().count() == 40 + twins
    assert {finding.daytona_id for finding in result.report.findings if finding.text.startswith("unknown")} == {
        f"lost-{n}" for n in range(20)
    }
    assert Counter(Sandbox.objects.values_list("status", flat=True)) == {
        "running": 60, "stopped": 30, "archived": 30, "error": 30,
    }  # fmt: skip


def test_an_import_may_run_again(world: Emulator, small: Installation) -> None:
    with_functions(world, "second")
    reconcile.sweep(IMPORT)
    before = told()
    again = reconcile.sweep(IMPORT)
    assert (again.result, again.report.counts["adopted"]) == (Sweep.Result.COMPLETE, 0)
    assert kinds(again)["unknown"] == 2
    assert told() == before
    assert remote_changes(world) == []


def told() -> list[tuple[Any, ...]]:
    columns = ("pk", "name", "owner", "intent", "status", "projection__wanted_generation")
    return list(Sandbox.objects.order_by("pk").values_list(*columns))


def test_only_what_differs_is_pushed_afterwards(world: Emulator, small: Installation) -> None:
    with_functions(world, "second")
    reconcile.sweep(IMPORT)
    push_what_is_due()
    pushed = {entry["id"] for entry in world.log(system="convex")}
    assert pushed == set(small.ids["stale"])
    assert remote_changes(world) == world.log(system="convex")
    result = reconcile.sweep(IMPORT)
    assert (kinds(result)["checked"], kinds(result)["unknown"], kinds(result)["duplicate"]) == (13, 2, 2)


def push_what_is_due() -> None:
    due = ConvexProjection.objects.due(clock.now())
    assert projection.push_many(list(due.values_list("pk", flat=True))) == 4


def test_a_sandbox_whose_labels_a_rename_wiped_is_owned_by_whom_convex_says(
    world: Emulator, small: Installation
) -> None:
    with_functions(world, "second")
    reconcile.sweep(IMPORT)
    for n, key in enumerate(small.ids["renamed"]):
        row = Sandbox.objects.get(daytona_id=key)
        assert (row.owner_id, row.name) == (owner_of(n), f"renamed {n}")


def test_a_dry_run_says_what_an_import_would_adopt(world: Emulator, small: Installation) -> None:
    with_functions(world, "second")
    result = reconcile.sweep(Options(adopt=True, verify_convex=True, dry_run=True))
    counts = result.report.counts
    assert (counts["adopted"], counts["unlisted"], kinds(result).get("unknown", 0), result.exit_code) == (
        13,
        3,
        0,
        2,
    )
    assert not Sandbox.objects.exists()


@pytest.mark.parametrize("functions", ["main", "own"])
@pytest.mark.parametrize("options", [{}, {"adopt_unlisted": True}, {"delete_unlisted": True}])
def test_what_convex_shows_to_somebody_else_is_left_alone(
    world: Emulator, with_convex: None, functions: str, options: dict[str, Any]
) -> None:
    with_functions(world, functions)
    (key,) = world.seed([{"labels": labels(1)}])
    convex.seed(world, sandboxes=[convex.sandbox_row(key, userId="user_mallory")])
    if "delete_unlisted" in options:
        options = {"delete_unlisted": frozenset([key])}
    result = reconcile.sweep(Options(adopt=True, **options))
    (finding,) = [one for one in result.report.findings if one.kind != "convex"]
    assert finding.kind == "unmatched"
    assert "'user_1'" in finding.text
    assert "'user_mallory'" in finding.text
    assert not Sandbox.objects.exists()
    assert remote_changes(world) == []


@pytest.mark.usefixtures("with_convex")
def test_without_the_function_that_names_owners_what_has_no_label_is_somebody_elses(world: Emulator) -> None:
    """After the cut-over: as after a restore, the sweep is complete all the same."""
    with_functions(world, "own")
    convex.only_our_own(world)
    world.seed([{"labels": labels(1)}, {"labels": {"team": "research"}}])
    result = reconcile.sweep(IMPORT)
    assert (result.result, result.detail) == (Sweep.Result.COMPLETE, "")
    assert (result.report.counts["unlisted"], result.report.counts["foreign"]) == (1, 1)


def test_with_convex_down_nothing_is_taken_over_on_a_guess(world: Emulator, small: Installation) -> None:
    with_functions(world, "second")
    world.settings(convex={"functions": "second", "state": "paused"})
    result = reconcile.sweep(IMPORT)
    assert (result.result, result.report.counts["adopted"]) == (Sweep.Result.PARTIAL, 0)
    with_functions(world, "second")
    clock.move(600)
    again = reconcile.sweep(IMPORT)
    assert (again.result, again.report.counts["adopted"]) == (Sweep.Result.COMPLETE, 13)
    assert remote_changes(world) == []


def test_without_a_convex_there_is_nothing_to_verify(world: Emulator) -> None:
    result = reconcile.sweep(IMPORT)
    assert result.result == Sweep.Result.PARTIAL
    assert "CONVEX_URL" in result.detail
