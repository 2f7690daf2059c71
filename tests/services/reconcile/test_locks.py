from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from django.db import connections

from sandboxes.models import Sandbox
from sandboxes.services import reconcile, sandbox_store
from tests.support.driving import reload
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.emulator import Emulator


@pytest.mark.postgres
def test_a_sweep_waits_for_no_row_that_somebody_is_writing(
    world: Emulator, mirrored: Callable[..., list[Sandbox]]
) -> None:
    held, free = mirrored(2)
    Sandbox.objects.update(listed_at=None)
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with sandbox_store.lock_sandbox(held.pk):
            locked.set()
            done.wait(PATIENCE)
        connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    assert locked.wait(PATIENCE)
    try:
        result = reconcile.sweep()
    finally:
        done.set()
        thread.join()
    assert (result.result, result.report.counts["lacking"]) == ("complete", 0)
    assert (reload(held.pk).listed_at is None, reload(free.pk).listed_at is None) == (True, False)
