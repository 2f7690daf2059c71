"""The web process as it is deployed, told to stop: what it has begun is answered first."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest
from django.db import transaction

from sandboxes.models import Sandbox
from sandboxes.services import keys
from tests.api.callers import ALL
from tests.support import rows
from tests.support.processes import answers, environment_for, free_port, listens, running, web_command
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from pathlib import Path

HASTY = httpx.Timeout(PATIENCE, read=0.3)


def decides(log: Path) -> bool:
    """Whether it has said that it waits for what is under way, or cuts it."""
    said = log.read_text()
    return "Waiting for connections to close" in said or "timeout graceful shutdown exceeded" in said


@pytest.mark.django_db(transaction=True)
def test_a_request_under_way_is_answered_before_the_process_ends(tmp_path: Path) -> None:
    row = rows.sandbox(of="alice")
    _, key = keys.create_key("live", scopes=ALL)
    port = free_port()
    headers = {"Authorization": f"Bearer {key}", "X-On-Behalf-Of": "alice"}
    environment = environment_for(None, WEB_THREADS="1")
    with (
        running(web_command(port), environment=environment, log=tmp_path / "web.log") as program,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=PATIENCE) as api,
        ThreadPoolExecutor(1) as pool,
    ):
        wait_until(lambda: answers(port), what="an answer of the web process")
        with transaction.atomic():
            list(Sandbox.objects.select_for_update().filter(pk=row.pk))
            stop = pool.submit(api.post, f"/api/v1/sandboxes/{row.pk}/stop", json={})
            with pytest.raises(httpx.ReadTimeout):  # its only thread waits for the row
                wait_until(lambda: httpx.get(f"{api.base_url}/api/v1/problems", timeout=HASTY) and None)
            program.process.send_signal(signal.SIGTERM)
            wait_until(lambda: not listens(port), what="end of listening")
            wait_until(lambda: decides(tmp_path / "web.log"), what="what it does with the request")
            assert not stop.done()
        assert stop.result().status_code == 202
        # In the end uvicorn raises the signal again, as whoever sent it may expect.
        assert program.process.wait(timeout=PATIENCE) == -signal.SIGTERM
