"""A migration after the first release leaves the web processes of the release before working: it only adds."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import pytest
from django.db import connection, migrations
from django.db.migrations.loader import MigrationLoader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.migrations import Migration
    from django.db.migrations.operations.base import Operation
    from django.db.migrations.state import ProjectState

# The last migration of 1.0.0. Until that is out, one more moves this line.
RELEASED = "0044_quota_hours"
# What nobody reads or writes any more, since a release ago, may go: the migration's module says so in this name.
REASON = "NO_OLD_PROCESS_NEEDS_IT"

ADDS = (
    migrations.CreateModel, migrations.AddIndex, migrations.RemoveIndex, migrations.RenameIndex,
    migrations.RemoveConstraint, migrations.AlterModelOptions, migrations.AlterModelManagers,
    migrations.AlterModelTableComment, migrations.RunPython,
)  # fmt: skip
# PostgreSQL's own, which are added beside a table that goes on; their module needs its driver.
ADDS_BY_NAME = ("AddIndexConcurrently", "RemoveIndexConcurrently", "TrigramExtension", "CreateExtension")


def takes_away(operation: Operation, app: str, before: ProjectState) -> Iterator[str]:
    """What an old process would miss or trip over."""
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        for inner in operation.database_operations:
            yield from takes_away(inner, app, before)
    elif isinstance(operation, migrations.AddField):
        if not (operation.field.null or operation.field.has_db_default() or operation.field.many_to_many):
            yield f"{operation.describe()}: an old process writes rows without it; give it null or db_default"
    elif isinstance(operation, migrations.AlterField):
        yield from _altered(operation, app, before)
    elif not isinstance(operation, ADDS) and type(operation).__name__ not in ADDS_BY_NAME:
        yield operation.describe()


def _altered(operation: migrations.AlterField, app: str, before: ProjectState) -> Iterator[str]:
    """Choices, words and the like are no part of the table; a column that may be NULL from now on is wider."""
    after = before.clone()
    operation.state_forwards(app, after)
    old, new = (
        state.apps.get_model(app, operation.model_name)._meta.get_field(operation.name) for state in (before, after)
    )
    if old.null and not new.null:
        yield f"{operation.describe()}: an old process writes NULL"
    if old.db_parameters(connection) != new.db_parameters(connection) or old.column != new.column:
        yield f"{operation.describe()}: another column"
    if new.unique and not old.unique:
        yield f"{operation.describe()}: an old process writes one value twice"


def found_in(migration: Migration, loader: MigrationLoader) -> list[str]:
    """What it takes from tables that old processes know."""
    before = loader.project_state((migration.app_label, migration.name), at_end=False)
    new = {one.name_lower for one in migration.operations if isinstance(one, migrations.CreateModel)}
    found: list[str] = []
    for operation in migration.operations:
        if getattr(operation, "model_name_lower", "") not in new:
            found += takes_away(operation, migration.app_label, before)
        operation.state_forwards(migration.app_label, before)
    return found


@pytest.fixture(scope="module")
def loader() -> MigrationLoader:
    return MigrationLoader(None)


def ours(loader: MigrationLoader) -> list[Migration]:
    return [one for (app, _), one in sorted(loader.disk_migrations.items()) if app == "sandboxes"]


def test_what_comes_after_the_first_release_only_adds(loader: MigrationLoader) -> None:
    later = [one for one in ours(loader) if one.name > RELEASED]
    unexplained = [one for one in later if not getattr(import_module(one.__module__), REASON, "")]
    assert {one.name: found for one in unexplained if (found := found_in(one, loader))} == {}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("0016_sandbox_without_projection", "Remove field"),
        ("0020_notice_remedy", "Rename field"),
    ],
)
def test_what_old_processes_would_miss_is_found(loader: MigrationLoader, name: str, words: str) -> None:
    (migration,) = [one for one in ours(loader) if one.name == name]
    assert words in "; ".join(found_in(migration, loader))
