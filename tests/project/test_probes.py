from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from tests.support.environment import DEVELOPMENT, ROOT, clean_environment

if TYPE_CHECKING:
    from django.test import Client
    from pytest_django import Settings

UNKNOWN_HOST = {"Host": "10.1.2.3:8000"}


@pytest.fixture(autouse=True)
def production(settings: Settings) -> None:
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["sandkeeper.example.com"]
    settings.SECURE_SSL_REDIRECT = True


def test_live_needs_neither_database_nor_host_name(client: Client) -> None:
    answer = client.get("/live", headers=UNKNOWN_HOST)
    assert (answer.status_code, answer.json()) == (200, {"process": "ok"})


@pytest.mark.django_db(transaction=True)
def test_ready_looks_at_the_database_and_the_migrations(client: Client) -> None:
    answer = client.get("/ready", headers=UNKNOWN_HOST)
    assert (answer.status_code, answer.json()) == (200, {"database": "ok", "migrations": "ok"})


@pytest.mark.django_db(transaction=True)
def test_ready_says_that_a_migration_is_missing(client: Client) -> None:
    rows = MigrationRecorder(connection).migration_qs.filter(app="sandboxes")
    last = rows.order_by("-name").values_list("name", flat=True)[0]
    rows.filter(name=last).update(name="0000_of_another_version")
    try:
        answer = client.get("/ready")
    finally:
        rows.filter(name="0000_of_another_version").update(name=last)
    assert answer.status_code == 503
    assert answer.json() == {"database": "ok", "migrations": "1 missing: run manage.py migrate"}
    assert answer["Retry-After"] == "5"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("token", "networks", "sent", "status"),
    [
        ("", [], "", 404),
        ("", [], "Bearer ", 404),
        ("s3cret-token", [], "", 404),
        ("s3cret-token", [], "Bearer s3cret-tokeN", 404),
        ("s3cret-token", [], "Bearer s3cret-token", 200),
        ("", ["10.0.0.0/8", "127.0.0.0/8"], "", 200),
        ("", ["10.0.0.0/8"], "", 404),
    ],
)
def test_metrics_are_for_the_token_or_the_networks(
    client: Client, settings: Settings, token: str, networks: list[str], sent: str, status: int
) -> None:
    settings.METRICS_TOKEN = token
    settings.METRICS_NETWORKS = networks
    assert client.get("/metrics", headers=UNKNOWN_HOST | {"Authorization": sent}).status_code == status


@pytest.mark.django_db
def test_a_scraper_is_known_on_a_dual_stack_socket(client: Client, settings: Settings) -> None:
    settings.METRICS_NETWORKS = ["10.0.0.0/8"]
    for address, status in (("::ffff:10.1.2.3", 200), ("::ffff:11.1.2.3", 404)):
        answer = client.get("/metrics", headers=UNKNOWN_HOST, REMOTE_ADDR=address)
        assert answer.status_code == status


def test_the_first_caller_does_not_wait_for_imports() -> None:
    code = "import sys, project.wsgi; print('sandboxes.api.urls' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=clean_environment(**DEVELOPMENT),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["True"], done.stderr
