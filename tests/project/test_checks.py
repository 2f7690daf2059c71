from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.core.checks import run_checks

from project import limits
from project.database import django_settings
from sandboxes import clock
from sandboxes.models import WorkerHeartbeat

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings


def found(*, deploy: bool = False) -> dict[str, str]:
    """Our messages by id, with their hints."""
    messages = run_checks(include_deployment_checks=deploy)
    ours = {message.id: message.hint for message in messages if message.id and message.id.startswith("sandboxes.")}
    assert all(ours.values()), "a check without a remedy"
    return {str(name): str(hint) for name, hint in ours.items()}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"CONVEX_URL": "https://x.convex.cloud", "CONVEX_DEPLOY_KEY": ""}, "sandboxes.E001"),
        ({"CONVEX_URL": "", "CONVEX_DEPLOY_KEY": "prod:x|0123"}, "sandboxes.E001"),
        ({"CONVEX_URL": "http://[x", "CONVEX_DEPLOY_KEY": "prod:x|0123"}, "sandboxes.E001"),
        ({"DAYTONA_API_URL": "http://[x", "DAYTONA_API_KEY": "key"}, "sandboxes.E004"),
        ({"DAYTONA_API_URL": "https://app.daytona.io/api", "DAYTONA_API_KEY": ""}, "sandboxes.E002"),
        ({"OIDC_ISSUER": "https://id.example.com"}, "sandboxes.E003"),
        ({"DAYTONA_API_URL": "app.daytona.io", "DAYTONA_API_KEY": "key"}, "sandboxes.E004"),
        ({"TIERS": {}}, "sandboxes.E005"),
        ({"TIERS": {"basic": {"cpu": 0, "memory_gb": 1, "disk_gb": 1}}}, "sandboxes.E005"),
        ({"TIERS": {"basic": {"cpu": 1, "memory_gb": 1, "disk_gb": 1, "gpu": 1}}}, "sandboxes.E005"),
        ({"TIERS": {"basic": 3}}, "sandboxes.E005"),
        ({"DAYTONA_API_URL": "", "DAYTONA_API_KEY": "key"}, "sandboxes.E002"),
        ({"DAYTONA_API_URL": "https://app.daytona.io", "DAYTONA_API_KEY": "key"}, "sandboxes.W008"),
        ({"CONVEX_URL": "https://x.convex.site", "CONVEX_DEPLOY_KEY": "prod:x|0123"}, "sandboxes.E001"),
        ({"ALLOWED_HOSTS": ["https://sandkeeper.example.com"]}, "sandboxes.E009"),
        ({"ALLOWED_HOSTS": ["sandkeeper.example.com:8000"]}, "sandboxes.E009"),
        ({"DAYTONA_READ_TIMEOUT": 0.0}, "sandboxes.E010"),
        ({"SWEEP_STALE_SECONDS": 0.0}, "sandboxes.E010"),
        ({"MISTYPED_NAMES": {"EVICTIN_SCOPE": "EVICTION_SCOPE"}}, "sandboxes.W009"),
        ({"LEASE_SECONDS": 10.0}, "sandboxes.E006"),
        ({"HEARTBEAT_SECONDS": 60.0}, "sandboxes.E007"),
        ({"METRICS_NETWORKS": ["10.0.0.0/33"]}, "sandboxes.E008"),
        ({"CONVEX_URL": "http://convex.example.com", "CONVEX_DEPLOY_KEY": "key"}, "sandboxes.W001"),
        ({"DEBUG": True, "ALLOWED_HOSTS": ["sandkeeper.example.com"]}, "sandboxes.W002"),
    ],
)
def test_a_wrong_setting_is_found(settings: Settings, changes: dict[str, Any], expected: str) -> None:
    assert expected not in found()
    for name, value in changes.items():
        setattr(settings, name, value)
    assert set(found()) == {expected}


@pytest.mark.parametrize("host", ["sandkeeper.example.com", ".example.com", "*", "[::1]", "127.0.0.1"])
def test_what_django_takes_for_a_host_is_one(settings: Settings, host: str) -> None:
    settings.DEBUG, settings.ALLOWED_HOSTS = False, [host]
    assert "sandboxes.E009" not in found()


@pytest.mark.parametrize(
    ("name", "value"),
    [("ALLOWED_HOSTS", ["*"]), ("DAYTONA_READ_TIMEOUT", 3_600.0), ("CONVEX_READ_TIMEOUT", 0.2)],
)
def test_a_deployment_is_told_of_what_is_hardly_meant(settings: Settings, name: str, value: object) -> None:
    before = found(deploy=True)
    setattr(settings, name, value)
    settings.LEASE_SECONDS = 10_000.0
    expected = "sandboxes.W104" if name == "ALLOWED_HOSTS" else "sandboxes.W105"
    assert expected in set(found(deploy=True)) - set(before)


@pytest.mark.parametrize(("days", "told"), [(0, True), (1, False), (90, False), (36_500, True)])
def test_a_deployment_is_told_of_absurd_retention(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, days: int, told: bool
) -> None:
    monkeypatch.setitem(settings.RETENTION_DAYS, "events", days)
    assert ("sandboxes.W105" in found(deploy=True)) is told


def test_every_deadline_and_retention_has_its_range(settings: Settings) -> None:
    named = {f"DEADLINE_{name.upper()}" for name in settings.DEADLINES}
    named |= {f"RETAIN_{name.upper()}_DAYS" for name in settings.RETENTION_DAYS}
    assert named <= set(limits.RANGES)


def test_a_hint_shows_an_address_of_its_own_kind(settings: Settings) -> None:
    settings.OIDC_ISSUER = settings.OIDC_JWKS_URL = "clerk.example.com"
    hints = [message.hint for message in run_checks() if message.id == "sandboxes.E004"]
    assert [str(hint).split()[-1] for hint in hints] == [
        "https://clerk.example.com.",
        "https://clerk.example.com/.well-known/jwks.json.",
    ]


def test_the_settings_of_development_are_fine() -> None:
    assert found() == {}


def test_a_deployment_is_asked_for_a_pepper_of_its_own(settings: Settings) -> None:
    settings.SERVICE_KEY_PEPPERS = ["another"]
    assert "sandboxes.W101" not in found(deploy=True)
    settings.SERVICE_KEY_PEPPERS = [settings.SECRET_KEY]
    assert "sandboxes.W101" in found(deploy=True)


def test_the_database_is_looked_at(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        settings.DATABASES, "default", {"ENGINE": "django.db.backends.postgresql", "CONN_MAX_AGE": 0}
    )
    assert set(found()) == {"sandboxes.W003"}
    monkeypatch.setitem(settings.DATABASES, "default", {"ENGINE": "django.db.backends.sqlite3"})
    assert found() == {}
    assert "sandboxes.W102" in found(deploy=True)


@pytest.mark.parametrize(
    ("query", "warned"), [("", True), ("?sslmode=prefer", True), ("?sslmode=verify-full", False)]
)
def test_a_deployment_is_told_of_a_database_reached_without_tls(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, query: str, warned: bool
) -> None:
    config = django_settings(f"postgres://u@db.example.com/n{query}", statement_timeout=30)
    monkeypatch.setitem(settings.DATABASES, "default", config | {"CONN_MAX_AGE": 600})
    assert ("sandboxes.W103" in found(deploy=True)) is warned


@pytest.mark.django_db
def test_workers_on_two_machines_need_postgresql(settings: Settings) -> None:
    def machines() -> bool:
        messages = run_checks(databases=["default"])
        return any(message.id == "sandboxes.W004" for message in messages)

    now = clock.now()
    for host in ("one", "two"):
        assert not machines()
        WorkerHeartbeat.objects.create(
            worker_id=host, host=host, pid=1, places=1, started_at=now - timedelta(hours=1), beat_at=now
        )
    assert machines() == ("sqlite" in settings.DATABASES["default"]["ENGINE"])
