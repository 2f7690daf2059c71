"""A worker beside the test: a thread that does what is due."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connection

from tests.support.driving import run_due

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def working() -> Iterator[None]:
    ended = threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            while not ended.wait(0.02):
                run_due()
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert failures == []
