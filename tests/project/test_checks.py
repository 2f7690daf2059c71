from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.core.checks import run_checks

from project.database import django_settings
from sandboxes import clock
from sandboxes.models import WorkerHeartbeat

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings


def found(*, deploy: bool = False) -> dict[str, str]:
    """Our messages by id, with their hints."""
    messages = run_checks(include_deployment_checks=deploy)
    ours = {message.id: message.hint for message in messages if message.id and message.id.startswith("sandboxes.")}
    assert all(ours.values()), "a check without a cure"
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
