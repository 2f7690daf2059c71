"""The benches can be started, and what they measure with tells the truth; none of them runs here."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest
from psycopg import sql

from bench.environment import postgres
from bench.report import Report
from bench.stand_in import FastDaytona
from bench.statements import counted
from project.database import conninfo
from sandboxes.providers.daytona.rows import read_page, read_sandbox
from tests.support.environment import ROOT, beside
from tests.support.processes import database_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.emulator import Emulator

# They configure Django for themselves, or do their work when they are imported.
PROCESSES = {"api_rows", "bare", "bare_urls", "our_reconcile", "reconcile_rows", "work_rows"}
MODULES = sorted(path.stem for path in (ROOT / "bench").glob("*.py") if path.stem not in PROCESSES)


@pytest.fixture
def stand_in() -> Iterator[FastDaytona]:
    with FastDaytona() as daytona:
        yield daytona


@pytest.mark.parametrize("name", MODULES)
def test_each_can_be_loaded_and_says_what_it_is(name: str) -> None:
    module = importlib.import_module(f"bench.{name}")
    assert module.__doc__ or name == "__init__"


def test_a_figure_is_met_at_its_aim_and_missed_beyond(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("some", as_json=True)
    report.add("few", 8, aim=8)
    report.add("many", 0.9, "%", aim=1.0, at_least=True)
    report.add("unknown", None, aim=1)
    report.add("only shown", 5, limit=1)
    assert report.end() == 1
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert [one["verdict"] for one in figures] == ["met", "MISSED", "", ""]


def test_nothing_missed_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("some")
    report.add("start", 0.3, "s", aim=2, limit=0.1)
    assert report.end() == 0
    name, value, _, aim, *_ = capsys.readouterr().out.splitlines()[-1].split()
    assert (name, value, aim) == ("start", "0.30", "≤")


def test_the_stand_in_says_what_the_emulator_says(stand_in: FastDaytona, emulator: Emulator) -> None:
    bodies = []
    for daytona in (stand_in, emulator):
        headers = {"Authorization": f"Bearer {daytona.daytona_key}"}
        with httpx.Client(base_url=daytona.daytona_url, headers=headers, timeout=30) as client:
            asked = {"name": "box", "snapshot": "ubuntu:22.04", "labels": {"a": "b"}}
            made = read_sandbox(client.post("/sandbox", json=asked).content)
            found = client.get(f"/sandbox/{made.id}")
            page = read_page(client.get("/sandbox", params={"limit": 1}).content)
            lost = client.get("/sandbox/nobody")
        assert [one.id for one in page.items] == [made.id]
        bodies.append(
            (set(found.json()), read_sandbox(found.content).labels, lost.status_code, lost.json()["message"])
        )
    assert bodies[0][1:] == bodies[1][1:]
    assert bodies[1][0] - bodies[0][0] == set()


def test_the_stand_in_holds_a_start_until_it_runs(stand_in: FastDaytona) -> None:
    stand_in.seed(["box-1"], state="stopped")
    stand_in.settings(start=0.05)
    answer = httpx.post(f"{stand_in.daytona_url}/sandbox/box-1/start")
    assert read_sandbox(answer.content).state == "started"
    stand_in.settings(start=60, hold=0)
    stand_in.seed(["box-2"], state="stopped")
    answer = httpx.post(f"{stand_in.daytona_url}/sandbox/box-2/start")
    assert read_sandbox(answer.content).state == "starting"
    assert stand_in.counts() == {"start": 2}
    assert stand_in.started().keys() == {"box-1", "box-2"}


@pytest.mark.postgres
@pytest.mark.django_db
def test_what_a_killed_bench_left_is_dropped_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url())
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    left, used, running = f"bench_left_{ended.pid}", f"bench_used_{ended.pid}", f"bench_running_{os.getpid()}"
    with psycopg.connect(conninfo(database_url()), autocommit=True) as connection:
        for name in (left, used, running):
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            with psycopg.connect(conninfo(beside(database_url(), used))), postgres("new") as url:
                names = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
        finally:
            for name in (left, used, running):
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
    own = url.rpartition("/")[2].partition("?")[0]
    assert names & {left, used, running, own} == {used, running, own}


@pytest.mark.postgres
@pytest.mark.django_db
def test_statements_are_counted_one_by_one() -> None:
    with counted(database_url()) as (url, counter), psycopg.connect(conninfo(url), autocommit=True) as connection:
        for number in range(3):
            assert connection.execute("SELECT %s::int", [number]).fetchone() == (number,)
        connection.execute("SELECT repeat('x', 1000000)").fetchone()
        with connection.transaction():  # BEGIN and COMMIT
            connection.execute("SELECT %s", ["y" * 1_000_000])
        assert counter.statements == 7
