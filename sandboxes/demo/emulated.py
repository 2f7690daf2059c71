"""The emulator as `make run` has it: started for a moment when it does not run yet, and its control API."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = ("127.0.0.1", "localhost", "::1")
QUICK = {"transition": 0.02, "archive": 0.05}
KEPT = (*QUICK, "quotas")  # what is put back at the end


class NotTheEmulator(Exception):
    """What answers, or would answer, at DAYTONA_API_URL is not an emulator on this machine."""


@contextmanager
def quick_emulator() -> Iterator[httpx.Client]:
    """A client of the emulator's control API. Inside the block transitions are short, and quotas may be changed.

    Raises NotTheEmulator before anything is called unless DAYTONA_API_URL leads to this machine.
    """
    address = urlsplit(settings.DAYTONA_API_URL)
    if address.hostname not in LOOPBACK:
        raise NotTheEmulator("DAYTONA_API_URL is not on this machine; demo data goes into the emulator alone.")
    control = httpx.Client(base_url=f"http://{address.netloc}/_emulator", timeout=10)
    with control, _answering(control, port=address.port or 80):
        before = control.get("/settings").raise_for_status().json()
        control.patch("/settings", json=QUICK).raise_for_status()
        try:
            yield control
        finally:
            control.patch("/settings", json={name: before[name] for name in KEPT})


@contextmanager
def _answering(control: httpx.Client, *, port: int) -> Iterator[None]:
    if _answers(control):
        yield
        return
    Path("var").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "emulator", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - no outside input
        try:
            assert process.stdout is not None
            if not process.stdout.readline().startswith("listening"):
                raise NotTheEmulator(f"The emulator did not start on port {port}.")
            yield
        finally:
            process.terminate()


def _answers(control: httpx.Client) -> bool:
    try:
        found = control.get("/settings")
    except httpx.TransportError:
        return False
    if found.status_code != 200:
        raise NotTheEmulator(f"Something else than the emulator answers at {control.base_url}.")
    return True
