"""Web, worker and commands as processes of their own, on the test's database; they end with the test."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import AbstractContextManager, contextmanager
from typing import IO, TYPE_CHECKING

import httpx
from django.db import connection

from tests.support.environment import DEVELOPMENT, ROOT, beside, clean_environment, ending_with_us
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.emulator import Emulator


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def database_url() -> str:
    """The address of the database that this test writes to."""
    name = connection.settings_dict["NAME"]
    return f"sqlite:///{name}" if connection.vendor == "sqlite" else beside(os.environ["DATABASE_URL"], name)


def environment_for(emulator: Emulator | None, **values: str) -> dict[str, str]:
    """The environment of a development process; with an emulator, the addresses and keys of its two systems."""
    known = {**DEVELOPMENT, "DATABASE_URL": database_url(), "LOG_JSON": "1", "WEB_PROCESSES": "1"}
    if emulator is not None:
        known |= {
            "DAYTONA_API_URL": emulator.daytona_url,
            "DAYTONA_API_KEY": emulator.daytona_key,
            "CONVEX_URL": emulator.convex_url,
            "CONVEX_DEPLOY_KEY": emulator.convex_key,
        }
    return clean_environment(**(known | values))


class Running:
    """A process whose output goes to a file, so that it never waits for a reader.

    With `group`, signals go to it and all its children, as from the terminal.
    """

    def __init__(
        self, command: list[str], *, environment: dict[str, str], log: Path, cwd: Path = ROOT, group: bool = False
    ) -> None:
        self.log = log
        self.group = group
        self._file: IO[bytes] = log.open("ab")
        self.process = subprocess.Popen(
            ending_with_us(command),
            cwd=cwd,
            env=environment,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=group,
        )

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def said(self, words: str, *, timeout: float = PATIENCE) -> None:
        """Wait until the process has printed these words."""
        wait_until(lambda: words in self.output or self.ended(), timeout=timeout, what=f"{words!r} in {self.log}")
        assert words in self.output, f"the process ended without {words!r}; it said:\n{self.output}"

    def stop(self, number: int = signal.SIGTERM, *, timeout: float = PATIENCE) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        if not self.ended():
            self._send(number)
        try:
            code = self.process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it did not end in {timeout:g} s; it said:\n{self.output}") from None
        finally:
            self._file.close()
        return code

    def _send(self, number: int) -> None:
        if self.group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def ended(self) -> bool:
        return self.process.poll() is not None


@contextmanager
def running(command: list[str], *, environment: dict[str, str], log: Path, cwd: Path = ROOT) -> Iterator[Running]:
    program = Running(command, environment=environment, log=log, cwd=cwd)
    try:
        yield program
    finally:
        program.stop()


def worker(environment: dict[str, str], *, log: Path, places: int = 20) -> AbstractContextManager[Running]:
    return running(manage("run_worker", "--places", str(places)), environment=environment, log=log)


def web_command(port: int) -> list[str]:
    """The web process as it is deployed."""
    return [sys.executable, "-m", "project.server", "--bind", f"127.0.0.1:{port}"]


@contextmanager
def web(environment: dict[str, str], *, log: Path) -> Iterator[httpx.Client]:
    """The web process as it is deployed, and a client of it."""
    port = free_port()
    with (
        running(web_command(port), environment=environment, log=log) as program,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client,
    ):
        wait_until(lambda: answers(port) or program.ended(), what="an answer of the web process")
        assert not program.ended(), program.output
        yield client


def answers(port: int) -> bool:
    """Whether a web process answers here."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/live").status_code == 200
    except httpx.TransportError:
        return False


def listens(port: int) -> bool:
    """Whether anything takes connections here."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def manage(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "manage.py"), *arguments]


def run_command(
    *arguments: str, environment: dict[str, str], timeout: float = PATIENCE
) -> subprocess.CompletedProcess[str]:
    """Run `manage.py …` to its end."""
    return subprocess.run(
        manage(*arguments),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        check=False,
    )
