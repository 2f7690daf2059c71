from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.environment import ROOT, clean_environment
from tests.support.processes import Running, free_port
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

VENV = Path(sys.prefix)
# What `make` and the tests make, and what is large. Not asked of git: it is not needed to run the tests.
NOT_CHECKED_OUT = (".git", ".venv", ".env", ".*_cache", "__pycache__", "var", "node_modules", "recordings")


class Checkout:
    """A fresh checkout of what is here, with ports of its own; the packages are those of this Python."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.web, self.emulator = free_port(), free_port()
        self.environment = clean_environment(WEB_PORT=str(self.web), EMULATOR_PORT=str(self.emulator))
        del self.environment["ENV_FILE"]
        for name in ("EMULATOR_STATE", "EMULATOR_DAYTONA_KEY", "EMULATOR_CONVEX_KEY"):
            self.environment.pop(name, None)
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_CHECKED_OUT), dirs_exist_ok=True)

    def make_run(self) -> list[str]:
        # The packages are there already; that make installs them is shown by CI, which begins in a clean clone.
        return ["make", "--no-print-directory", "run", f"VENV={VENV}", "-o", str(VENV / ".installed")]

    @contextmanager
    def running(self, log: Path) -> Iterator[Running]:
        program = Running(self.make_run(), environment=self.environment, log=log, cwd=self.folder, group=True)
        try:
            yield program
        finally:
            program.stop(signal.SIGINT)

    def wait_for(self, program: Running) -> None:
        wait_until(lambda: self.answers() or program.ended(), timeout=240, pause=0.2, what="web process")
        assert self.answers(), program.output

    def answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.web}/live").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    folder = tmp_path / "checkout"
    folder.mkdir()
    return Checkout(folder)


def log_in(browser: httpx.Client) -> None:
    browser.get("/")
    form = {"username": "admin", "password": "admin", "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
    page = browser.post("/admin/login/?next=/admin/", data=form, headers={"Referer": str(browser.base_url)})
    assert "/admin/logout/" in page.text


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        return listener.connect_ex(("127.0.0.1", port)) != 0


def test_make_run_on_a_fresh_checkout(checkout: Checkout, tmp_path: Path) -> None:
    with checkout.running(tmp_path / "first.log") as program:
        checkout.wait_for(program)
        assert "Log in as admin with the password admin" in program.output
        assert "Made 60 demo sandboxes." in program.output
        with httpx.Client(
            base_url=f"http://127.0.0.1:{checkout.web}", follow_redirects=True, timeout=PATIENCE
        ) as browser:
            log_in(browser)
            listed = browser.get("/api/v1/sandboxes?limit=100").json()
        statuses = {row["status"] for row in listed["results"]}
        assert statuses >= {"running", "stopped", "archived", "error", "starting", "stopping", "creating"}

        # A second, clean shell.
        shell = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        program.said("worker_started")
        program.said("sweep complete")
        command = [sys.executable, "manage.py", "doctor", "--json"]
        done = subprocess.run(command, cwd=checkout.folder, env=shell, capture_output=True, text=True, check=False)
        found = [one["check"] for one in json.loads(done.stdout)["findings"] if one["level"] != "ok"]
        assert found == ["notice_orphans"], "what the demo has for staff to decide"
    assert is_free(checkout.web)
    assert is_free(checkout.emulator)

    with checkout.running(tmp_path / "second.log") as program:
        checkout.wait_for(program)
        assert "The demo data is there." in program.output
        state = httpx.get(f"http://127.0.0.1:{checkout.emulator}/_emulator/state").json()
        assert state["total"] >= 56


def refused(checkout: Checkout, *more: str, **environment: str) -> list[str]:
    """What `make run` says and ends with."""
    done = subprocess.run(
        [*checkout.make_run(), *more],
        cwd=checkout.folder,
        env=checkout.environment | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    return done.stdout.splitlines()


def test_a_port_in_use_is_said_in_one_line_before_anything_starts(checkout: Checkout) -> None:
    with socket.socket() as occupied:
        occupied.bind(("127.0.0.1", checkout.web))
        occupied.listen()
        assert refused(checkout) == [
            f"Port {checkout.web} is in use. End what listens there, or choose another by WEB_PORT in .env."
        ]
    assert not (checkout.folder / ".env").exists()


@pytest.mark.parametrize("port", ["abc", "0", "65536", "-1", "80 80"])
def test_what_is_no_port_is_said_in_one_line(checkout: Checkout, port: str) -> None:
    expected = f"WEB_PORT={port} is no port. Choose a number from 1 to 65535, such as WEB_PORT=8000."
    assert refused(checkout, WEB_PORT=port) == [expected]


def test_a_settings_file_without_a_key_is_said_in_one_line(checkout: Checkout) -> None:
    (checkout.folder / ".env").write_text("DAYTONA_API_URL=https://app.daytona.io/api\n")
    (line,) = refused(checkout)
    assert line.startswith(".env has no SECRET_KEY. Add one,")


def test_a_settings_file_with_only_a_port_is_completed(checkout: Checkout) -> None:
    (checkout.folder / ".env").write_text("WEB_PORT=8123\n")
    command = [sys.executable, "-m", "project.development"]
    for _ in range(2):  # the second time there is nothing to add
        subprocess.run(command, cwd=checkout.folder, env=checkout.environment, capture_output=True, check=True)
    found = (checkout.folder / ".env").read_text()
    assert found.count("WEB_PORT=") == found.count("SECRET_KEY=") == 1
    assert "WEB_PORT=8123\n" in found
    assert f"DAYTONA_API_URL=http://127.0.0.1:{checkout.emulator}/api" in found


def test_a_python_that_is_too_old_or_none_is_said_in_one_line(checkout: Checkout) -> None:
    (line,) = refused(checkout, "PYTHON=/nowhere/python3")
    assert line == "PYTHON=/nowhere/python3 does not run; set PYTHON=/path/to/python3.11"
    old = checkout.folder / "old"
    # This Python, as if it were one of before.
    as_if = (
        "import sys, runpy; sys.version_info = (3, 9, 2); runpy.run_module('project.ports', run_name='__main__')"
    )
    old.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exit 0\nexec {sys.executable} -c "{as_if}"\n')
    old.chmod(0o755)
    (line,) = refused(checkout, f"PYTHON={old}")
    assert line == "This is Python 3.9; Sandkeeper needs 3.11 or newer: make run PYTHON=/path/to/python3.11"


def test_packages_that_cannot_be_had_are_said_with_what_to_set(checkout: Checkout) -> None:
    """As where the index is away, or is another's whose authority nobody here knows."""
    nowhere = f"https://127.0.0.1:{free_port()}/simple"
    place = checkout.folder / "venv"
    done = subprocess.run(
        ["make", "--no-print-directory", f"VENV={place}", f"{place}/.installed", f"PYTHON={sys.executable}"],
        cwd=checkout.folder,
        env=checkout.environment | {"PIP_INDEX_URL": nowhere, "PIP_RETRIES": "0", "PIP_FIND_LINKS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    first, why, remedy = done.stdout.splitlines()
    assert first.startswith("Installing")
    assert why.startswith(f"The packages could not be installed (all of it: {place}/install.log): ")
    assert "SSL_CERT_FILE" in remedy
    assert not (place / ".installed").exists()
