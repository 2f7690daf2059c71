"""One gateway a process: made from the settings, shared by its threads, not by its children."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.providers import blocking
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.providers.daytona.gateway import DaytonaGateway, NotConfigured, Unauthorized
from sandboxes.providers.protocols import SandboxSpec
from tests.providers.daytona.scripted import HANG, scripted
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.emulator import Emulator

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def fresh(settings: Any, emulator: Emulator) -> Iterator[None]:
    daytona.reset()
    settings.DAYTONA_API_URL = emulator.daytona_url
    settings.DAYTONA_API_KEY = emulator.daytona_key
    settings.DAYTONA_TARGET = "eu"
    yield
    daytona.reset()


def test_the_settings_make_the_gateway(settings: Any, emulator: Emulator) -> None:
    created = blocking.run(daytona.gateway().create(SandboxSpec(name="alpha")))
    assert created.target == "eu"
    assert daytona.gateway() is daytona.gateway()


def test_the_timeouts_are_settings(settings: Any) -> None:
    settings.DAYTONA_READ_TIMEOUT = 0.05
    with scripted(HANG) as server:
        settings.DAYTONA_API_URL = server.url
        with pytest.raises(daytona.Unknown, match=r"within 0\.0\d+ s"):
            blocking.run(daytona.gateway().get("x"))


@pytest.mark.parametrize("missing", ["DAYTONA_API_URL", "DAYTONA_API_KEY"])
def test_without_address_or_key_it_says_what_to_do(settings: Any, missing: str) -> None:
    setattr(settings, missing, "")
    with pytest.raises(NotConfigured) as raised:
        daytona.gateway()
    assert missing in raised.value.message
    assert ".env" in raised.value.message


def test_a_reset_forgets_a_refused_key(settings: Any, emulator: Emulator) -> None:
    [key] = emulator.seed([{}])
    settings.DAYTONA_API_KEY = "dtn_wrong"
    for _ in range(2):
        with pytest.raises(Unauthorized):
            blocking.run(daytona.gateway().get(key))
    settings.DAYTONA_API_KEY = emulator.daytona_key
    daytona.reset()
    assert blocking.run(daytona.gateway().get(key)).id == key


def test_threads_that_come_at_once_share_one(settings: Any) -> None:
    ready = threading.Barrier(16)
    found: list[DaytonaGateway] = []

    def ask() -> None:
        ready.wait()
        found.append(daytona.gateway())

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len(set(map(id, found))) == 1


def test_a_child_makes_its_own(emulator: Emulator) -> None:
    """Even one that is forked while another thread holds the lock."""
    program = """
import os, sys, threading, django
django.setup()
from sandboxes.providers import blocking
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.providers.protocols import SandboxSpec
mine = daytona.gateway()
blocking.run(mine.list_page())
daytona._lock.acquire()
child = os.fork()
if child == 0:
    theirs = daytona.gateway()
    blocking.run(theirs.list_page())
    os._exit(0 if theirs is not mine else 3)
daytona._lock.release()
_, status = os.waitpid(child, 0)
assert daytona.gateway() is mine
blocking.run(mine.list_page())
sys.exit(os.waitstatus_to_exitcode(status))
"""
    environment = dict(os.environ) | {
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "DAYTONA_API_URL": emulator.daytona_url,
        "DAYTONA_API_KEY": emulator.daytona_key,
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], cwd=ROOT, env=environment, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0


def test_importing_the_gateway_costs_no_client_package() -> None:
    """The package costs 0.3 s and 38 MB; web and most commands never call Daytona."""
    program = """
import sys, django
django.setup()
import sandboxes.providers.daytona.gateway
loaded = {name.partition(".")[0] for name in sys.modules}
sys.exit(", ".join(loaded & {"daytona_sdk", "daytona", "daytona_api_client_async", "aiohttp", "pydantic"}) or 0)
"""
    environment = dict(os.environ) | {"DJANGO_SETTINGS_MODULE": "project.settings"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment,
        timeout=PATIENCE,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
