from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from sandboxes.models import Sandbox

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db


def test_the_development_user_is_made_once_and_it_says_so(settings: Settings) -> None:
    settings.DEBUG = True
    words = StringIO()
    for _ in range(2):
        call_command("ensure_dev_admin", stdout=words)
    assert get_user_model()._default_manager.filter(username="admin", is_superuser=True).count() == 1
    assert "development only, because DEBUG=1" in words.getvalue()


@pytest.mark.parametrize("command", ["ensure_dev_admin", "load_demo"])
def test_outside_development_they_refuse(settings: Settings, command: str) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match="DEBUG=1"):
        call_command(command)
    assert not get_user_model()._default_manager.exists()
    assert not Sandbox.objects.exists()


def test_demo_data_never_goes_to_a_real_daytona(settings: Settings) -> None:
    settings.DEBUG = True
    settings.DAYTONA_API_URL = "https://app.daytona.io/api"
    with pytest.raises(CommandError, match="not on this machine"):
        call_command("load_demo")
