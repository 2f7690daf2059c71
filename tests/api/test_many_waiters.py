from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from sandboxes import clock
from sandboxes.models import Operation
from tests.api.live import live_api
from tests.support import rows
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

THREADS = 6


@pytest.mark.django_db(transaction=True)
def test_a_hundred_waiters_do_not_keep_others_from_being_answered(tmp_path: Path) -> None:
    running = rows.sandbox("runs", of="alice")
    slow = rows.operation(rows.sandbox("slow", of="alice"), "stop", "in_progress")
    # What was seen before the server came up is fresh enough, however long that takes on a busy machine.
    settings = {"WEB_THREADS": str(THREADS), "OBSERVATION_TTL": "3600"}
    with live_api(tmp_path, **settings) as api, ThreadPoolExecutor(100) as pool:
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=0)
        with httpx.Client(base_url=api.base_url, headers=api.headers, limits=limits, timeout=PATIENCE) as many:

            def wait(number: int) -> httpx.Response:
                return many.get(f"/api/v1/operations/{slow.pk}", headers={"Prefer": "wait=60"})

            futures = [pool.submit(wait, number) for number in range(100)]
            answers = [api.post(f"/api/v1/sandboxes/{running.pk}/ensure-running") for _ in range(20)]
            still_waiting = sum(not future.done() for future in futures)
            Operation.objects.update(status="succeeded", step="done", finished_at=clock.now())
            waited = [future.result() for future in futures]
    assert [answer.status_code for answer in answers] == [200] * 20
    assert still_waiting >= THREADS // 2, "answered while others waited"
    assert [answer.text for answer in waited if answer.status_code != 200] == []
    seated = [answer.json()["status"] for answer in waited if "Preference-Applied" in answer.headers]
    assert seated == ["succeeded"] * (THREADS // 2)
