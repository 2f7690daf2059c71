"""The emulator as a process of its own, and its control API with types."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.environment import ROOT, ending_with_us
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

DAYTONA_KEY = "dtn_test_key"
CONVEX_KEY = "dev:test|0123456789abcdef"
# A connection that is given up after some seconds of rest may be given up just when a thread begins to use it.
FOR_GOOD = httpx.Limits(keepalive_expiry=None)
ORGANIZATION = "11111111-1111-4111-8111-111111111111"


class Faults:
    """`emulator.faults.add("status", path="/start$", status=503, times=1)`; see emulator/README.md."""

    def __init__(self, control: httpx.Client) -> None:
        self._control = control

    def add(self, kind: str, **fields: Any) -> int:
        """Add a rule and return its number."""
        return int(_json(self._control.post("/faults", json={"kind": kind, **fields}))["id"])

    def hits(self, number: int) -> int:
        """How often a rule has hit so far."""
        rules = _json(self._control.get("/faults"))
        return next(int(rule["hits"]) for rule in rules if rule["id"] == number)

    def remove(self, number: int) -> None:
        _json(self._control.delete(f"/faults/{number}"))

    def clear(self) -> None:
        _json(self._control.delete("/faults"))


class Emulator:
    """A context manager: the process ends with it. `restart()` keeps the port and, with `state`, the rows."""

    daytona_key = DAYTONA_KEY
    convex_key = CONVEX_KEY
    organization = ORGANIZATION

    def __init__(self, *options: str, state: Path | None = None, transition: float = 0.05) -> None:
        self._options = [
            *("--daytona-key", DAYTONA_KEY, "--convex-key", CONVEX_KEY),
            *("--transition", str(transition), "--archive", str(transition * 3)),
            *(("--state", str(state)) if state else ()),
            *options,
        ]
        self._process: subprocess.Popen[str] | None = None
        self._port = 0
        self.url = ""
        self.control = httpx.Client(verify=False)
        self.faults = Faults(self.control)

    def __enter__(self) -> Emulator:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self.control.close()

    # the process

    def start(self) -> None:
        """Start the process and return when it answers."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("EMULATOR_")}
        self._process = subprocess.Popen(
            ending_with_us([sys.executable, "-m", "emulator", "--port", str(self._port), *self._options]),
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("listening on "):
            raise AssertionError(f"the emulator did not start; it said {line!r} and the above")
        self.url = line.split()[-1]
        self._port = int(self.url.rsplit(":", 1)[1])
        self.control.close()
        self.control = httpx.Client(
            base_url=f"{self.url}/_emulator", timeout=PATIENCE, verify=False, limits=FOR_GOOD
        )
        self.faults = Faults(self.control)

    def stop(self) -> None:
        """End the process with SIGTERM, held requests or not."""
        self._end(kill=False)

    def kill(self) -> None:
        """End the process with SIGKILL."""
        self._end(kill=True)

    def restart(self, *, kill: bool = False) -> None:
        self._end(kill=kill)
        self.start()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def _end(self, *, kill: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if kill:
            process.kill()
        else:
            process.terminate()
        process.wait(timeout=PATIENCE)
        if process.stdout is not None:
            process.stdout.close()

    # the two systems

    @property
    def daytona_url(self) -> str:
        return f"{self.url}/api"

    @property
    def convex_url(self) -> str:
        return self.url

    # the control API

    def log(self, *, since: int = 0, system: str = "", action: str = "", key: str = "") -> list[dict[str, Any]]:
        """Accepted mutations after number `since`: seq, time, system, action, id, name, detail."""
        query = {"since": str(since), "system": system, "action": action, "id": key}
        wanted = {name: value for name, value in query.items() if value}
        return list(_json(self.control.get("/log", params=wanted))["entries"])

    def last_log(self) -> int:
        """The number of the newest entry of the log."""
        return int(_json(self.control.get("/log", params={"since": str(2**60)}))["last"])

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Change settings (none: just read) and return all of them."""
        if changes:
            return dict(_json(self.control.patch("/settings", json=changes)))
        return dict(_json(self.control.get("/settings")))

    def seed(self, rows: Iterable[dict[str, Any]] = (), *, count: int = 0, **template: Any) -> list[str]:
        """Put sandboxes there, in any state, and return their ids.

        Either whole rows, or `count` copies of a template, in whose name `{n}` is the number.
        """
        body: dict[str, Any] = {"sandboxes": list(rows)}
        if count:
            body = {"count": count, "template": template}
        return list(_json(self.control.post("/sandboxes", json=body))["ids"])

    def change(self, key: str, **changes: Any) -> dict[str, Any]:
        """Change a sandbox from outside, as its host does when it crashes; `quiet=True` sends no event."""
        return dict(_json(self.control.patch(f"/sandboxes/{key}", json=changes)))

    def vanish(self, key: str) -> None:
        """Take a sandbox away without a trace."""
        _json(self.control.delete(f"/sandboxes/{key}"))

    def sandbox(self, key: str) -> dict[str, Any] | None:
        """A row as the emulator holds it, by id; None when it is gone."""
        rows = _json(self.control.get("/state", params={"id": key}))["sandboxes"]
        return dict(rows[0]) if rows else None

    def state(self, system: str = "daytona", **query: str) -> dict[str, Any]:
        """A dump: `{"total", "sandboxes"}` of Daytona (filters: id, name, state), Convex's tables."""
        return dict(_json(self.control.get("/state", params={"system": system, **query})))

    def counts(self) -> dict[str, Any]:
        """Calls since start or reset: `{"daytona": {"GET /sandbox/{id}": 3}, "convex": {…}, …}`."""
        return dict(_json(self.control.get("/counts")))

    def advance(self, seconds: float) -> float:
        """Let time pass for the emulated systems; returns their time."""
        return self._clock(advance=seconds)

    def step(self) -> float:
        """Let time pass until the next thing happens by itself; returns the emulated time."""
        return self._clock(advance=None)

    def stop_clock(self) -> float:
        """From now on time passes by `advance` and `step` only (until `start_clock` or `reset`)."""
        return self._clock(stop=True)

    def start_clock(self) -> float:
        """Time passes by itself again, from where it stands."""
        return self._clock(run=True)

    def now(self) -> float:
        return self._clock()

    def _clock(self, **change: Any) -> float:
        return float(_json(self.control.post("/clock", json=change))["now"])

    def drop_connections(self) -> None:
        """Cut every call in flight and every socket, as when the API is killed."""
        _json(self.control.delete("/connections"))

    def send_event(self, event: str, data: Any = None, *, times: int = 1) -> None:
        """Send any Socket.IO event to every client, well-formed or not."""
        _json(self.control.post("/events", json={"event": event, "data": data, "times": times}))

    def reset(self, **settings: Any) -> None:
        """As freshly started: no rows, log or faults, start-up settings but for those given."""
        _json(self.control.post("/reset", json={"settings": settings}))


def _json(response: httpx.Response) -> Any:
    assert response.status_code == 200, f"{response.request.method} {response.request.url}: {response.text}"
    return response.json()
