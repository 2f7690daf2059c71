"""How gunicorn runs the web process; the same in the Dockerfile and in docs/operations.md."""

from __future__ import annotations

import os
from pathlib import Path

from project.environment import Environment

env = Environment(env_file=os.environ.get("ENV_FILE", str(Path(__file__).resolve().parent.parent / ".env")))

worker_class = "gthread"
workers = env.whole("WEB_PROCESSES", default=2, minimum=1)
threads = env.whole("WEB_THREADS", default=8, minimum=1)
timeout = 90  # longer than `Prefer: wait=60`
graceful_timeout = 65
keepalive = 5
limit_request_line = 8190  # a `next` holds filters and a name, in their longest spelling
max_requests = 20_000
max_requests_jitter = 2_000
accesslog = None  # the application logs each request, with its id
control_socket_disable = True  # nothing here uses it
