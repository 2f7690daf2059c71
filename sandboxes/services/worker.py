"""A worker process: threads that run tasks, the pump, the heartbeat. None of them dies silently."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django_tasks_db.management.commands.db_worker import Worker as QueueLoop
from django_tasks_db.models import DBTaskResult

from sandboxes.services import pump
from sandboxes.services.heartbeat import Heartbeat
from sandboxes.services.loops import repeat

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

log = structlog.get_logger(__name__)

BACKEND = "default"
QUEUES = ["default"]
LOOK_EVERY = 0.05  # seconds; one look per process, however many threads
PUMP_EVERY = 1.0
# What the argument of a task is the id of.
ID_OF = {
    "advance_operation": "operation_id",
    "observe_sandbox": "sandbox_id",
    "push_sandbox": "sandbox_id",
    "forward_touch": "sandbox_id",
}


class TaskLoop(QueueLoop):
    """django-tasks-db's own loop until the queue is empty, with the task's name and row in every log line."""

    def __init__(self, worker_id: str) -> None:
        super().__init__(
            queue_names=QUEUES,
            excluded_queue_names=[],
            interval=LOOK_EVERY,
            batch=True,
            backend_name=BACKEND,
            startup_delay=False,
            max_tasks=None,
            worker_id=worker_id,
        )

    def run_task(self, db_task_result: DBTaskResult[Any, Any]) -> None:
        name = db_task_result.task_path.rsplit(".", 1)[-1]
        ids = {ID_OF[name]: db_task_result.args_kwargs["args"][0]} if name in ID_OF else {}
        with structlog.contextvars.bound_contextvars(task=name, **ids):
            super().run_task(db_task_result)


class Worker:
    """The threads of one worker. `start` returns at once; `stop` lets running tasks end first."""

    def __init__(self, *, threads: int) -> None:
        self._stopping = threading.Event()
        self._work = threading.Event()
        self._heartbeat = Heartbeat(threads=threads)
        self._loops = [TaskLoop(f"{self._heartbeat.worker_id}-{number}") for number in range(threads)]
        self._running: list[threading.Thread] = []

    @property
    def worker_id(self) -> str:
        return self._heartbeat.worker_id

    def start(self) -> None:
        for number, loop in enumerate(self._loops):
            self._keep(f"tasks-{number}", partial(self._run_tasks, loop), every=0.0)
        self._keep("look", self._look, every=LOOK_EVERY)
        self._keep("pump", pump.due, every=PUMP_EVERY)
        self._keep("heartbeat", self._heartbeat.beat, every=settings.HEARTBEAT_SECONDS)
        log.info("worker_started", worker=self.worker_id, threads=len(self._loops))

    def stop(self) -> None:
        log.info("worker_stopping", worker=self.worker_id)
        self._stopping.set()
        self._work.set()
        for loop in self._loops:
            loop.running = False
        for thread in self._running:
            thread.join()
        with suppress(DatabaseError, InterfaceError):  # it then counts as fallen silent
            self._heartbeat.stop()
        log.info("worker_stopped", worker=self.worker_id)

    def _run_tasks(self, loop: TaskLoop) -> None:
        if self._work.wait(timeout=1.0) and not self._stopping.is_set():
            self._work.clear()
            loop.run()

    def _look(self) -> None:
        if DBTaskResult.objects.ready().filter(backend_name=BACKEND, queue_name__in=QUEUES).exists():
            self._work.set()

    def _keep(self, name: str, step: Callable[[], object], *, every: float) -> None:
        target = partial(repeat, name, step, every=every, stop=self._stopping)
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._running.append(thread)
        thread.start()


def run_until_signal(*, threads: int) -> None:
    """Be a worker until SIGTERM or SIGINT; a second one ends the process at once."""
    received: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        # Takes no lock: the interrupted main thread could hold it.
        received.append(number)
        if len(received) > 1:
            os._exit(1)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    worker = Worker(threads=threads)
    worker.start()
    while not received:
        time.sleep(0.2)
    worker.stop()
