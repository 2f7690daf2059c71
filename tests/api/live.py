"""The API as it is deployed: the server on a port, and a program's client that insists on problems."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sandboxes.services import keys
from tests.api.callers import ALL
from tests.support import processes
from tests.support.problems import faults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx


@contextmanager
def live_api(folder: Path, *, owner: str = "alice", **environment: str) -> Iterator[httpx.Client]:
    """One web process without any key of Daytona or Convex."""
    _, plaintext = keys.create_key("live", scopes=ALL)
    wanted = processes.environment_for(None, WEB_PROCESSES="1", **environment)
    with processes.web(wanted, log=folder / "web.log") as client:
        client.headers.update({"Authorization": f"Bearer {plaintext}", "X-On-Behalf-Of": owner})
        client.event_hooks["response"].append(_only_problems)
        yield client


def _only_problems(response: httpx.Response) -> None:
    if response.status_code >= 400 and response.request.method != "HEAD":
        path = response.request.url.path
        assert faults(response.status_code, response.headers, response.read(), path=path) == []
