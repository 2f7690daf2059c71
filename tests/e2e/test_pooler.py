"""A pooler in transaction mode in between: limits hold, cursors work, and workers hear of what is due past it."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from django.core.checks import Tags, run_checks
from django.db import connection
from django.db.utils import ConnectionHandler

from project.database import SESSION, django_settings
from sandboxes.engine.listening import listen
from sandboxes.models import Operation, WorkerHeartbeat
from sandboxes.services.wake import CHANNEL
from tests.support import rows
from tests.support.pgbouncer import pgbouncer
from tests.support.processes import database_url, environment_for, manage, running
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from django.db.backends.base.base import BaseDatabaseWrapper
    from pytest_django import Settings

    from tests.support.emulator import Emulator

pytestmark = [pytest.mark.postgres, pytest.mark.pgbouncer, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def limited() -> Iterator[None]:
    """The role has the limits, in this test's database alone."""
    role = f"ALTER ROLE CURRENT_USER IN DATABASE {connection.ops.quote_name(connection.settings_dict['NAME'])}"
    with connection.cursor() as cursor:
        for name, seconds in SESSION.items():
            cursor.execute(f"{role} SET {name} = '{seconds}s'")
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"{role} RESET ALL")


@pytest.fixture
def pooler(tmp_path: Path) -> Iterator[str]:
    with pgbouncer(tmp_path) as address:
        yield f"{address}?pooler=transaction"


def connected(url: str) -> BaseDatabaseWrapper:
    return ConnectionHandler({"default": django_settings(url, statement_timeout=30)})["default"]


def shown(made: BaseDatabaseWrapper) -> list[str]:
    found = []
    for name in SESSION:
        with made.cursor() as cursor:
            cursor.execute(f"SHOW {name}")
            found.append(str(cursor.fetchone()[0]))
    return found


@pytest.mark.usefixtures("limited")
def test_every_connection_that_it_gives_has_the_limits(pooler: str) -> None:
    with closing(connected(pooler)) as one, closing(connected(pooler)) as two:
        one.set_autocommit(False)  # it keeps a connection of the server, so the other one gets another
        assert shown(one) == shown(two) == ["10s", "30s", "1min"]
        one.rollback()
        one.set_autocommit(True)
    assert warned() == []


def test_where_nothing_limits_waiting_the_check_says_the_statements(
    pooler: str,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = 0")
    try:
        (hint,) = warned()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
    assert "SET lock_timeout = '10s'; ALTER ROLE" in hint
    with closing(connected(pooler)) as made:
        assert shown(made)[0] == "0", "a pooler passes no options on"


def warned() -> list[str]:
    found = run_checks(tags=[Tags.database], databases=["default"])
    return [str(message.hint) for message in found if message.id == "sandboxes.W010"]


def test_a_worker_works_through_it_by_looking(pooler: str, emulator: Emulator, tmp_path: Path) -> None:
    operation = stop_of_a_sandbox(emulator)
    environment = environment_for(emulator, DATABASE_URL=pooler)
    with running(manage("run_worker"), environment=environment, log=tmp_path / "worker.log") as worker:
        worker.said("a pooler passes no wake-ups on")
        wait_until(lambda: Operation.objects.get(pk=operation.pk).status == "succeeded", what="the stop")
        wait_until(WorkerHeartbeat.objects.exists)
    assert "loop_failed" not in worker.output
    assert "turn_failed" not in worker.output


def stop_of_a_sandbox(emulator: Emulator) -> Operation:
    (key,) = emulator.seed([{"name": "box"}])
    return rows.operation(rows.sandbox("box", of="alice", daytona_id=key), "stop")


def test_it_is_woken_past_the_pooler(pooler: str, settings: Settings) -> None:
    settings.DATABASE_DIRECT_URL = database_url()

    async def heard_twice() -> None:
        heard: asyncio.Queue[None] = asyncio.Queue()
        listening = asyncio.create_task(listen(lambda: heard.put_nowait(None)))
        await asyncio.wait_for(heard.get(), PATIENCE)  # it listens now
        await asyncio.to_thread(woken_through, pooler)
        await asyncio.wait_for(heard.get(), PATIENCE)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

    asyncio.run(heard_twice())


def woken_through(pooler: str) -> None:
    with closing(connected(pooler)) as made, made.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])


def test_without_a_direct_address_nobody_waits_for_a_wake_up(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    settings.DATABASE_DIRECT_URL = ""
    asyncio.run(asyncio.wait_for(listen(lambda: pytest.fail("woken")), PATIENCE))
