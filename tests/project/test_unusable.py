"""A database that takes no changes, or has the tables of another version."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DataError, OperationalError, ProgrammingError, connection
from django.db.migrations.recorder import MigrationRecorder

from project.unusable import is_read_only, why_unusable
from sandboxes import clock
from tests.admin import members
from tests.api.conftest import alice, issuer, issuer_server
from tests.support.processes import environment_for, run_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from django.test import Client

    from tests.api.callers import Api
    from tests.support.emulator import Emulator

__all__ = ["alice", "issuer", "issuer_server"]


@contextmanager
def taking_no_changes() -> Iterator[None]:
    """As a standby of PostgreSQL, or a primary whose disk is full."""
    switch = "SET SESSION CHARACTERISTICS AS TRANSACTION READ" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"{switch} ONLY" if switch else "PRAGMA query_only = ON")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"{switch} WRITE" if switch else "PRAGMA query_only = OFF")


@contextmanager
def tables_of_another_version() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE sandboxes_sandbox RENAME COLUMN target TO region")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE sandboxes_sandbox RENAME COLUMN region TO target")


@contextmanager
def a_migration_missing() -> Iterator[None]:
    rows = MigrationRecorder(connection).migration_qs.filter(app="sandboxes")
    last = rows.order_by("-name").values_list("name", flat=True)[0]
    rows.filter(name=last).update(name="0000_of_another_version")
    try:
        yield
    finally:
        rows.filter(name="0000_of_another_version").update(name=last)


def problem(answer: Any) -> str:
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    body = answer.json()
    assert body["code"] == "database_unavailable"
    return str(body["detail"])


@pytest.mark.django_db(transaction=True)
def test_without_changes_reads_are_answered_and_the_rest_says_why(alice: Api, client: Client) -> None:
    members.root(password="a password")
    with taking_no_changes():
        assert is_read_only()
        assert clock.now() is not None
        assert alice.get("/sandboxes").status_code == 200  # that its key was used is not written down
        assert "takes no changes" in problem(alice.post("/sandboxes", {"name": "atlas"}))
        page = client.post("/admin/login/", {"username": "admin", "password": "a password"})
        ready = client.get("/ready")
    assert not is_read_only()
    assert (page.status_code, page["Retry-After"], page["Content-Type"].split(";")[0]) == (503, "5", "text/plain")
    assert "takes no changes" in page.content.decode()
    assert (ready.status_code, ready.json()["database"], ready["Retry-After"]) == (503, "read-only", "5")


@pytest.mark.django_db(transaction=True)
def test_on_the_tables_of_another_version_it_says_the_command(alice: Api, client: Client) -> None:
    client.force_login(members.root())
    with tables_of_another_version():
        assert "manage.py migrate" in problem(alice.get("/sandboxes"))
        page = client.get("/admin/sandboxes/sandbox/")
    assert (page.status_code, page["Retry-After"]) == (503, "5")
    assert "manage.py migrate" in page.content.decode()


@pytest.mark.django_db(transaction=True)
def test_what_a_middleware_meets_is_answered_so_too(client: Client) -> None:
    client.raise_request_exception = False
    client.force_login(members.root())

    def broken(*arguments: object) -> object:
        raise OperationalError("server closed the connection")

    with connection.execute_wrapper(broken):
        page = client.get("/admin/")
    assert (page.status_code, "does not answer" in page.content.decode()) == (503, True)
    assert "server closed" not in page.content.decode()


@pytest.mark.parametrize("error", [ValueError("no such table"), DataError("too long"), ProgrammingError("syntax")])
def test_our_own_mistakes_are_no_fault_of_the_database(error: Exception) -> None:
    assert why_unusable(error) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "command", ["run_worker", "reconcile_sandboxes", "watch_sandboxes", "prune", "evict_sandboxes"]
)
def test_what_writes_does_not_start_on_the_tables_of_another_version(command: str) -> None:
    with a_migration_missing(), pytest.raises(CommandError, match=r"1 migrations are missing.*manage\.py migrate"):
        call_command(command)


@pytest.mark.django_db(transaction=True)
def test_a_worker_ends_with_1_on_an_empty_database(emulator: Emulator, tmp_path: Path) -> None:
    environment = environment_for(emulator, DATABASE_URL=f"sqlite:///{tmp_path / 'new.sqlite3'}")
    done = run_command("run_worker", environment=environment)
    assert (done.returncode, "Run `manage.py migrate` first." in done.stderr) == (1, True)
