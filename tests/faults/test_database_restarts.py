"""The database is restarted while operations are under way: they go on with it, and wait for no lease."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Max

from project.database import conninfo
from sandboxes import clock
from sandboxes.core.vocabulary import Action, Actor, EventKind, OperationStatus, PolicyScope, Rule, Source
from sandboxes.models import ConvexProjection, Operation, Sandbox, SandboxEvent
from sandboxes.services import lifecycle, policies
from tests.api.live import live_api
from tests.faults.workers import workers
from tests.support import rows
from tests.support.postgres_server import USER, postgres_server
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    from pytest_django import DjangoDbBlocker

    from sandboxes.models.projection import ProjectionRows
    from tests.support.emulator import Emulator
    from tests.support.postgres_server import PostgresServer

NUMBER = 5  # as many as an owner may have
DOWN = 1.0  # seconds
# Who waits for the end of a lease does not end while this test waits.
NO_LEASE = {"LEASE_SECONDS": "3600", "WORKER_SILENT_SECONDS": "3600", "CONVEX_FIRST_PUSH_SECONDS": "3600"}


@pytest.fixture
def server(django_db_blocker: DjangoDbBlocker) -> Iterator[PostgresServer]:
    """A server of this test's own with our tables, which this process uses as well."""
    usual = dict(connection.settings_dict)
    with postgres_server() as made, django_db_blocker.unblock():
        connection.close()
        connection.settings_dict |= {"HOST": "127.0.0.1", "PORT": made.port, "USER": USER, "NAME": "postgres"}
        try:
            call_command("migrate", verbosity=0)
            yield made
        finally:
            connection.close()
            connection.settings_dict |= usual


@pytest.mark.postgres
@pytest.mark.initdb
def test_a_restart_of_the_database_costs_what_it_takes_and_no_lease(
    server: PostgresServer, emulator: Emulator, tmp_path: Path
) -> None:
    with workers(emulator, tmp_path, DATABASE_URL=server.url, **NO_LEASE) as crew:
        crew.start()
        boxes = [create("alice", number) for number in range(NUMBER)]
        wait_for_the_end()
        # Calls are answered while the database is away and when it is back, of Daytona's and of Convex's.
        pushed = emulator.faults.add("delay", system="convex", body="createInternal", seconds=DOWN * 2)
        for number in range(NUMBER):
            create("bert", number)
        wait_until(lambda: emulator.faults.hits(pushed) > 0, what="a push under way")
        held = [
            emulator.faults.add("delay", path="/stop$", seconds=DOWN / 2, times=2),
            emulator.faults.add("delay", path="/stop$", seconds=DOWN * 2),
        ]
        for box in boxes:
            lifecycle.request(box, Action.STOP, actor=Actor.owner("alice"), source=Source.API)
        wait_until(lambda: sum(map(emulator.faults.hits, held)) == NUMBER, what="all calls under way")
        be_away(server)
        back = clock.now()
        wait_for_the_end()
        assert set(Operation.objects.values_list("status", flat=True)) == {OperationStatus.SUCCEEDED}
        ended = Operation.objects.filter(finished_at__gt=back).aggregate(last=Max("finished_at"))["last"]
        print(f"the last of {2 * NUMBER} operations ended {(ended - back).total_seconds():.2f} s after it was back")


@pytest.mark.postgres
@pytest.mark.initdb
def test_a_push_and_a_policy_that_the_database_left_are_a_line_of_the_log_and_go_on(
    server: PostgresServer, emulator: Emulator, tmp_path: Path
) -> None:
    with workers(emulator, tmp_path, DATABASE_URL=server.url, **NO_LEASE) as crew:
        worker = crew.start()
        box = create("alice", 1)
        wait_for_the_end()
        wait_until(lambda: not behind().exists(), what="what was pushed")
        before = clock.now() - timedelta(hours=1)
        # Nor is it looked at meanwhile, which would write an event as well.
        Sandbox.objects.filter(pk=box).update(created_at=before, intent_at=before, fetch_due_at=None)
        events = SandboxEvent._meta.db_table
        with closing(psycopg.connect(conninfo(server.url))) as other:
            other.execute(f"LOCK TABLE {events} IN SHARE MODE")
            rules = {Rule.EXPIRY: 60}
            policies.set_policy(PolicyScope.DEFAULT, "", rules, actor=Actor.system("test"))
            wait_until(lambda: waiting_for(events) == 1, what="a judgement that writes")
            with transaction.atomic():
                ConvexProjection.objects.filter(pk=box).make_due(sent={"again": True})
            wait_until(lambda: waiting_for(events) == 2, what="a push that writes as well")
            be_away(server)
        announced = SandboxEvent.objects.filter(sandbox=box, kind=EventKind.POLICY)
        wait_until(lambda: announced.exists() and not behind().exists(), what="both, after all")
    # The judgement says so as well, unless it could be made again at once: with the database back before it asked.
    assert "push_broken_off" in re.findall(r'"event": "(\w+)"', worker.output)
    assert "Traceback" not in worker.output, worker.output


@pytest.mark.postgres
@pytest.mark.initdb
def test_who_waits_for_an_operation_hears_of_its_end_though_the_database_was_away(
    server: PostgresServer, tmp_path: Path
) -> None:
    slow = rows.operation(rows.sandbox("slow", of="alice"), "stop", "in_progress")
    with live_api(tmp_path, DATABASE_URL=server.url) as api, ThreadPoolExecutor(1) as pool:
        address = f"/api/v1/operations/{slow.pk}"
        before = connections_made()
        waiter = pool.submit(api.get, address, headers={"Prefer": "wait=60"}, timeout=PATIENCE)
        wait_until(lambda: connections_made() >= before + 3, what="looks: each makes a connection")
        be_away(server)
        Operation.objects.update(status="succeeded", step="done", finished_at=clock.now())
        answer = waiter.result()
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded"), answer.text


def connections_made() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT sessions FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def behind() -> ProjectionRows:
    return ConvexProjection.objects.filter(behind_since__isnull=False)


def waiting_for(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = %s::regclass", [table])
        return int(cursor.fetchone()[0])


def be_away(server: PostgresServer) -> None:
    server.stop()
    since = time.monotonic()
    wait_until(lambda: time.monotonic() >= since + DOWN, what="the time that it is to be away")
    server.start()
    connection.close()


def create(owner: str, number: int) -> UUID:
    new = lifecycle.NewRequest(name=f"box-{number}")
    return lifecycle.create(owner, actor=Actor.owner(owner), source=Source.API, new=new).sandbox_id


def wait_for_the_end() -> None:
    wait_until(lambda: not Operation.objects.active().exists(), what="the end of all operations")
