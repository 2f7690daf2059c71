"""docs/operations.md: its commands run in order, against an installation on PostgreSQL."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from django.core.management import get_commands
from psycopg.conninfo import conninfo_to_dict

from project.database import conninfo
from sandboxes.models import Sandbox
from tests.support.environment import ROOT, variables
from tests.support.processes import database_url, environment_for, run_command

if TYPE_CHECKING:
    from tests.e2e.conftest import Installation

PAGE = (ROOT / "docs" / "operations.md").read_text()
TOKEN = "a-token-of-prometheus"


def script() -> tuple[str, str]:
    """What is run beside the processes, and what after they were stopped for a restore."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    restore = next(number for number, block in enumerate(blocks) if block.startswith("pg_restore"))
    return "\n".join(blocks[:restore]), "\n".join(blocks[restore:])


def run(commands: str, environment: dict[str, str]) -> str:
    """What they print."""
    done = subprocess.run(
        ["bash", "-c", "set -euo pipefail\n" + commands],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_the_commands_run_in_order(installation: Installation, tmp_path: Path) -> None:
    installation.web_environment["METRICS_TOKEN"] = TOKEN
    installation.start_web()
    installation.start_worker()
    sandbox = installation.created()
    known = {
        "PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}",
        "WEB": str(installation.http.base_url).rstrip("/"),
        "METRICS_TOKEN": TOKEN,
        "BACKUP": str(tmp_path / "backup"),
        "STATIC_ROOT": str(tmp_path / "static"),
        "DATABASE_URL": database_url(),
        "PGSERVICEFILE": str(service_file(tmp_path)),
    }
    beside, stopped = script()
    said = run(beside, installation.environment | known)
    assert "sandkeeper_workers 1.0" in said
    assert "Stop web, workers, reconcile **and watch**" in PAGE
    installation.stack.close()
    run(stopped, installation.environment | known)
    assert (tmp_path / "backup").stat().st_size > 0
    assert Sandbox.objects.get(pk=sandbox["id"]).status == "running"


def service_file(folder: Path) -> Path:
    """What the page tells to write, for this database."""
    assert "[sandkeeper]" in PAGE
    told = conninfo_to_dict(conninfo(database_url()))
    known = {name: told[name] for name in ("host", "port", "user", "password", "dbname") if told.get(name)}
    file = folder / "service.conf"
    file.write_text("\n".join(["[sandkeeper]", *(f"{name}={value}" for name, value in known.items()), ""]))
    return file


def test_no_password_stands_in_the_list_of_processes() -> None:
    beside, stopped = script()
    lines = [line for line in (beside + stopped).splitlines() if line.startswith(("pg_dump", "pg_restore", "psql"))]
    assert lines
    assert [line for line in lines if "DATABASE_URL" in line] == []


def test_each_alert_has_its_runbook() -> None:
    rules = yaml.safe_load((ROOT / "docs" / "alerts.yml").read_text())["groups"][0]["rules"]
    books = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbooks.md").read_text(), re.MULTILINE)
    assert books == [rule["alert"] for rule in rules]
    for rule in rules:
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks.md#{rule['alert'].lower()}"


def test_the_processes_are_those_of_compose() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    for name in ("worker", "reconcile", "watch"):
        assert f"`{' '.join(services[name]['command'])}`" in PAGE


def test_what_it_names_exists() -> None:
    assert set(re.findall(r"manage\.py (\w+)", PAGE)) <= set(get_commands())
    for module in re.findall(r"python -m bench\.(\w+)", PAGE):
        assert (ROOT / "bench" / f"{module}.py").exists(), module
    shell = {"DATABASE_URL", "METRICS_TOKEN", "SANDKEEPER_IMAGE", "POSTGRES_IMAGE", "NGINX_IMAGE"}
    named = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", PAGE))
    of_libraries = {"OTEL_EXPORTER_OTLP_ENDPOINT"}
    assert named - variables() - shell - of_libraries == set()


@pytest.mark.postgres
@pytest.mark.django_db
@pytest.mark.parametrize(("given", "shown"), [({}, "30s"), ({"STATEMENT_TIMEOUT": "0"}, "0")])
def test_a_statement_has_its_time_and_a_migration_may_have_all_it_needs(given: dict[str, str], shown: str) -> None:
    asked = (
        "from django.db import connection; cursor = connection.cursor();"
        "cursor.execute('SHOW statement_timeout'); print(cursor.fetchone())"
    )
    done = run_command("shell", "-c", asked, environment=environment_for(None, **given))
    assert f"('{shown}',)" in done.stdout, done.stderr
