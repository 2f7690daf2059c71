"""Run the web process: `python -m project.server [--bind 127.0.0.1:8000]`.

uvicorn reads the requests (project/protocol.py), threads answer them (project/asgi.py).
"""

from __future__ import annotations

import argparse
import os
from logging.config import dictConfig
from typing import Any

import structlog
import uvicorn
from django.conf import settings

from project.version import VERSION

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

log = structlog.get_logger(__name__)

HUNG_SECONDS = 60  # without any sign of life before a process is killed; a busy machine is slow
GRACE_SECONDS = 65  # longer than `Prefer: wait=60`
KEEP_ALIVE_SECONDS = 5
REQUESTS_OF_A_PROCESS = 20_000  # then another takes its place
BACKLOG = 1024


def application() -> Any:
    """The ASGI application of one process."""
    from project.asgi import Bridge
    from project.wsgi import application as wsgi

    return Bridge(
        wsgi,
        threads=settings.WEB_THREADS,
        max_head=settings.MAX_HEAD_BYTES,
        max_body=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
    )


def options(host: str, port: int) -> dict[str, Any]:
    """What uvicorn is told."""
    processes = settings.WEB_PROCESSES
    return {
        "app": "project.server:application",
        "factory": True,
        "host": host,
        "port": port,
        "workers": processes,
        # asyncio's own loop takes all connections that wait: of 40 at once one process got 39, with uvloop 24.
        "loop": "uvloop",
        "http": "project.protocol:Protocol",
        "ws": "none",
        "interface": "asgi3",
        "backlog": BACKLOG,
        "h11_max_incomplete_event_size": settings.MAX_HEAD_BYTES,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "timeout_worker_healthcheck": HUNG_SECONDS,
        "timeout_graceful_shutdown": GRACE_SECONDS,
        # One process has nobody who would start the next one.
        "limit_max_requests": REQUESTS_OF_A_PROCESS if processes > 1 else None,
        "limit_max_requests_jitter": REQUESTS_OF_A_PROCESS // 10,
        "proxy_headers": False,  # TRUSTED_PROXIES says whom to believe
        "server_header": False,
        "access_log": False,  # the application logs each request, with its id
        "log_config": None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bind", default="127.0.0.1:8000", help="address and port to listen on")
    host, _, port = parser.parse_args().bind.rpartition(":")
    dictConfig(settings.LOGGING)  # also a wrong setting ends it here, before any process is started
    log.info("process_started", role="web", version=VERSION)
    uvicorn.run(**options(host.strip("[]"), int(port)))


if __name__ == "__main__":
    main()
