"""The web process as it is deployed: slow clients, busy threads and heads that are none."""

from __future__ import annotations

import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import httpx
import pytest
from django.db import transaction

from sandboxes.models import Sandbox
from tests.api.live import live_api
from tests.support import rows
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from pathlib import Path

THREADS = 2
HEAD = "POST /api/v1/sandboxes HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
SLOW = (HEAD, f"{HEAD}Content-Length: 100000\r\n\r\n{{", f"{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n{{")

# What is sent, and the status and code of the problem that comes back.
REFUSED = [
    ("NONSENSE\r\n\r\n", 400, "invalid_request"),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "invalid_request"),
    ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400, "invalid_request"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", 400, "invalid_request"),
    (f"GET /{'x' * 40_000} HTTP/1.1\r\nHost: a\r\n\r\n", 431, "head_too_large"),
    (f"GET /{'x' * 400_000} HTTP/1.1\r\nHost: a\r\n\r\n", 431, "head_too_large"),
    (f"GET / HTTP/1.1\r\nHost: a\r\nCookie: {'x' * 40_000}\r\n\r\n", 431, "head_too_large"),
    (f"{HEAD}Content-Length: 9\r\n\r\n{{}}", 408, "request_timeout"),
]


@pytest.mark.django_db(transaction=True)
def test_neither_slow_clients_nor_busy_threads_stop_the_process(tmp_path: Path) -> None:
    row = rows.sandbox("runs", of="alice")
    with (
        live_api(tmp_path, WEB_THREADS=str(THREADS), METRICS_NETWORKS="127.0.0.0/8", REQUEST_SECONDS="2") as api,
        ExitStack() as stack,
    ):
        port = int(api.base_url.port or 0)
        for beginning in SLOW * 8 * THREADS:
            stack.enter_context(closing(connected(port, beginning)))
        assert api.get(f"/api/v1/sandboxes/{row.pk}").status_code == 200
        for sent, status, code in REFUSED:
            assert refusal(port, sent) == (status, code), sent[:60]
        script_name = {"Script-Name": "/elsewhere", "SCRIPT_NAME": "/elsewhere"}
        assert api.get("/admin/", headers=script_name).headers["Location"].startswith("/admin/login/")
        assert api.get("/admin/login/").cookies["csrftoken"]
        busy(api, row)


def busy(api: httpx.Client, row: Sandbox) -> None:
    """Every thread waits for a row that this test holds; the probes answer all the same."""
    with ThreadPoolExecutor(THREADS) as pool:
        with transaction.atomic():
            list(Sandbox.objects.select_for_update().filter(pk=row.pk))
            stops = [pool.submit(api.post, f"/api/v1/sandboxes/{row.pk}/stop", json={}) for _ in range(THREADS)]
            with pytest.raises(httpx.ReadTimeout):
                wait_until(lambda: other_times_out(api), what="every thread to be busy")
            for probe in ("/live", "/ready", "/metrics"):
                assert api.get(probe, timeout=10).status_code == 200, probe
            assert not any(stop.done() for stop in stops)
        assert {stop.result().status_code for stop in stops} == {202}


def other_times_out(api: httpx.Client) -> None:
    api.get("/api/v1/problems/not_found", timeout=httpx.Timeout(PATIENCE, read=0.3))


def connected(port: int, sent: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=15)
    connection.sendall(sent.encode("latin-1"))
    return connection


def refusal(port: int, sent: str) -> tuple[int, str]:
    with closing(connected(port, sent)) as connection:
        received = b"".join(iter(lambda: part(connection), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    assert re.search(rb"content-type: application/problem\+json", head, re.IGNORECASE), received
    return int(head.split()[1]), json.loads(body)["code"]


def part(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65_536)
    except ConnectionResetError:
        return b""
