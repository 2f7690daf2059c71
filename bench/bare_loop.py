"""The measure for bench/ticks.py: the task library's own loop, whose task makes one GET and does nothing else.

python -m bench.bare_loop THREADS
"""

from __future__ import annotations

import os
import sys
import threading

import django
import urllib3

django.setup()

from django_tasks import task  # noqa: E402
from django_tasks_db.management.commands.db_worker import Worker  # noqa: E402

pool = urllib3.PoolManager(
    maxsize=32, retries=False, headers={"Authorization": f"Bearer {os.environ['DAYTONA_API_KEY']}"}
)


@task()
def look(key: str) -> bool:
    answer = pool.request("GET", f"{os.environ['DAYTONA_API_URL']}/sandbox/{key}")
    return answer.status == 200


def main() -> None:
    """Run until the queue is empty, or until SIGTERM."""
    for number in range(int(sys.argv[1])):
        loop = Worker(
            queue_names=["default"], excluded_queue_names=[], interval=0.1, batch=True, backend_name="default",
            startup_delay=False, max_tasks=None, worker_id=f"bare-{number}",
        )  # fmt: skip
        threading.Thread(target=loop.run).start()


if __name__ == "__main__":
    main()
