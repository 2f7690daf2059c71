"""Run an agent's tool calls in its user's sandbox: agent_loop.py OWNER SANDBOX, a tool call a line on stdin."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sandkeeper_client import Broken, NoRoom, NotFound, PersonSaidNo, Sandkeeper, SandkeeperError

if TYPE_CHECKING:
    from collections.abc import Iterator

TOUCH_EVERY = 60.0  # seconds


@contextmanager
def in_use(client: Sandkeeper, sandbox: str) -> Iterator[None]:
    """Say that the sandbox is used, for as long as a tool call takes: an idle one may be stopped for room."""
    ended = threading.Event()

    def touch() -> None:
        while not ended.wait(TOUCH_EVERY):
            client.touch_sandbox(sandbox)

    thread = threading.Thread(target=touch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def run(tool_call: str, daytona_id: str | None) -> str:
    """Here an agent would talk to Daytona."""
    return f"{tool_call} in {daytona_id}"


def answer(client: Sandkeeper, sandbox: str, tool_call: str) -> str:
    """What the agent is told of its tool call."""
    try:
        ready = client.ensure_running(sandbox, reason=tool_call)
        with in_use(client, sandbox):
            return f"done: {run(tool_call, ready['daytona_id'])}"
    except PersonSaidNo as no:
        return f"ask your user to start it: {no.detail}"
    except NoRoom as no:
        return f"no room, try later: {no.remedy}"
    except (Broken, NotFound) as no:
        return f"it cannot be used any more: {no.remedy}"
    except SandkeeperError as error:
        return f"not now: {error.code} ({error.request_id})"


def main() -> None:
    owner, sandbox = sys.argv[1:]
    with Sandkeeper(os.environ["SANDKEEPER_URL"], os.environ["SANDKEEPER_KEY"], owner=owner) as client:
        for line in sys.stdin:
            print(answer(client, sandbox, line.strip()), flush=True)


if __name__ == "__main__":
    main()
