from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.live import live_api
from tests.support import rows

THREADS = 6


@pytest.mark.django_db(transaction=True)
def test_a_hundred_waiters_do_not_keep_others_from_being_answered(tmp_path: Path) -> None:
    running = rows.sandbox("runs", of="alice")
    slow = rows.operation(rows.sandbox("slow", of="alice"), "stop", "in_progress")
    with live_api(tmp_path, WEB_THREADS=str(THREADS)) as api, ThreadPoolExecutor(100) as pool:
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=0)
        with httpx.Client(base_url=api.base_url, headers=api.headers, limits=limits, timeout=60) as many:

            def wait(number: int) -> tuple[float, httpx.Response]:
                began = time.monotonic()
                answer = many.get(f"/api/v1/operations/{slow.pk}", headers={"Prefer": "wait=8"})
                return time.monotonic() - began, answer

            futures = [pool.submit(wait, number) for number in range(100)]
            answers = [_timed(api, f"/api/v1/sandboxes/{running.pk}/ensure-running") for _ in range(20)]
            still_waiting = sum(not future.done() for future in futures)
            waited = [future.result() for future in futures]
    assert [status for _, status in answers] == [200] * 20
    assert max(seconds for seconds, _ in answers) < 4, "answered while others waited 8 s"
    assert still_waiting >= 1
    assert all(answer.status_code == 200 for _, answer in waited)
    seated = [answer for _, answer in waited if "Preference-Applied" in answer.headers]
    assert len(seated) == THREADS // 2
    assert all(seconds >= 8 for seconds, answer in waited if "Preference-Applied" in answer.headers)


def _timed(api: httpx.Client, path: str) -> tuple[float, Any]:
    began = time.monotonic()
    answer = api.post(path)
    return time.monotonic() - began, answer.status_code
