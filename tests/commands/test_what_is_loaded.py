"""Commands and workers load no more than they use: start-up time and memory follow from that."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import environment_for, running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.emulator import Emulator

pytestmark = pytest.mark.django_db(transaction=True)

OF_THE_WEB = (
    "project.urls", "sandboxes.admin", "sandboxes.api", "unfold.sites", "unfold.admin", "rest_framework",
    "drf_spectacular", "django_filters", "health_check", "django.contrib.auth.admin",
)  # fmt: skip
# Their apps are installed, so Django imports these.
OF_EVERY_APP = re.compile(r"(rest_framework|drf_spectacular(_sidecar)?)(\.apps|\.checks)?")
# `manage.py`, which at its end says what was imported.
MAIN = """
import atexit, sys
from project.command_line import main
atexit.register(lambda: print("loaded:", *sys.modules, flush=True))
main()
"""


def loaded(*arguments: str, environment: dict[str, str], log: Path, until: str = "") -> set[str]:
    """The modules that `manage.py …` imports to its end, which is a SIGTERM after it has said `until`."""
    with running([sys.executable, "-c", MAIN, *arguments], environment=environment, log=log) as program:
        if until:
            program.said(until)
        else:
            program.process.wait()
    (line,) = [line for line in program.output.splitlines() if line.startswith("loaded:")]
    return set(line.split())


def of_the_web(modules: set[str]) -> list[str]:
    found = [name for name in modules if name.startswith(OF_THE_WEB)]
    return sorted(name for name in found if not OF_EVERY_APP.fullmatch(name))


@pytest.mark.parametrize(
    "arguments",
    [["doctor"], ["health", "worker"], ["prune", "--dry-run"], ["reconcile_sandboxes"]],
    ids=lambda arguments: arguments[0],
)
def test_a_command_loads_nothing_of_the_web(tmp_path: Path, emulator: Emulator, arguments: list[str]) -> None:
    modules = loaded(*arguments, environment=environment_for(emulator), log=tmp_path / "log")
    assert "sandboxes.models" in modules
    assert of_the_web(modules) == []


def test_a_worker_loads_nothing_of_the_web_nor_of_a_convex_that_is_not_there(
    tmp_path: Path, emulator: Emulator
) -> None:
    environment = environment_for(emulator, CONVEX_URL="", CONVEX_DEPLOY_KEY="")
    modules = loaded("run_worker", environment=environment, log=tmp_path / "log", until="worker_started")
    assert "sandboxes.engine.worker" in modules
    assert of_the_web(modules) == []
    assert {"httpx", "opentelemetry.sdk", "sandboxes.services.shown_ids"} & modules == set()


def test_the_whole_check_looks_at_the_web_too(tmp_path: Path) -> None:
    modules = loaded("check", environment=environment_for(None), log=tmp_path / "log")
    assert {"project.urls", "sandboxes.admin", "sandboxes.api.urls"} <= modules
