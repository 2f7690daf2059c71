"""The process: ports, options, how it starts and ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.emulator import Emulator
from tests.support.environment import ROOT
from tests.support.waiting import PATIENCE, wait_until

HEADERS = {"Authorization": f"Bearer {Emulator.daytona_key}"}


def run(*options: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "emulator", *options],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_port_in_use_is_said_in_one_line(emulator: Emulator) -> None:
    port = emulator.url.rsplit(":", 1)[1]
    process = run("--port", port)
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert output == ""
    assert errors.count("\n") == 1
    assert f"port {port} on 127.0.0.1 is not free" in errors


def test_the_environment_sets_what_the_command_line_does_not() -> None:
    process = run("--latency", "0.01", EMULATOR_PORT="0", EMULATOR_TRANSITION="7", EMULATOR_LATENCY="5")
    assert process.stdout is not None
    assert process.stderr is not None
    url = process.stdout.readline().split()[-1]
    settings = httpx.get(f"{url}/_emulator/settings").json()
    process.terminate()
    process.wait(timeout=PATIENCE)
    process.stdout.close()
    process.stderr.close()
    assert settings["transition"] == 7
    assert settings["latency"] == 0.01


def test_a_call_whose_caller_died_half_way_is_not_executed(emulator: Emulator) -> None:
    host, port = emulator.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as caller:
        head = f"POST /api/sandbox HTTP/1.1\r\nHost: {host}\r\nAuthorization: {HEADERS['Authorization']}\r\n"
        caller.sendall(f'{head}Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{{"name"'.encode())
        wait_until(lambda: emulator.counts()["calls"] == 1, what="the open call")
    wait_until(lambda: emulator.counts()["calls"] == 0, what="the end of it")
    httpx.get(f"{emulator.daytona_url}/sandbox", headers=HEADERS)
    assert list(emulator.counts()["daytona"]) == ["GET /sandbox"]


def test_sigterm_ends_it_at_once_even_with_calls_that_are_held() -> None:
    with Emulator() as emulator, ThreadPoolExecutor(1) as pool:
        emulator.faults.add("hang")
        future = pool.submit(httpx.get, f"{emulator.daytona_url}/sandbox", headers=HEADERS, timeout=PATIENCE)
        wait_until(lambda: emulator.counts()["calls"] == 1, what="the held call")
        emulator.stop()  # or fails after 10 s
        with pytest.raises(httpx.TransportError):
            future.result()


def test_it_ends_with_a_process_that_is_killed() -> None:
    code = (
        "from tests.support.emulator import Emulator\n"
        "with Emulator() as emulator:\n"
        "    print(emulator.url, flush=True)\n"
        "    input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        host, port = process.stdout.readline().strip().removeprefix("http://").split(":")
        process.kill()

    def is_gone() -> bool:
        with socket.socket() as client:
            return client.connect_ex((host, int(port))) != 0

    wait_until(is_gone, what="the end of the emulator")


def test_a_stopped_emulator_refuses_connections() -> None:
    with Emulator() as emulator:
        emulator.stop()
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{emulator.daytona_url}/sandbox", headers=HEADERS)


def test_it_imports_nothing_of_the_application() -> None:
    code = "import sys, emulator.__main__; print([n for n in sys.modules if n.split('.')[0] in NAMES])"
    code = code.replace("NAMES", "('sandboxes', 'project', 'django', 'tests')")
    output = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "[]"
