"""Replaying one recording against the emulator, on a clock that only the replay moves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.contract.compare import IGNORED, differences, header_differences, translate
from tests.support.emulator import FOR_GOOD, Emulator
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from tests.contract.variants import Variant

RECORDINGS = Path(__file__).parent / "recordings"
SKIPPED = {(entry["recording"], entry["label"]) for entry in IGNORED["entry"]}
NOT_SEEDED = {"networkBlockAll", "networkAllowList", "domainAllowList", "volumes", "toolboxProxyUrl"}
Entry = dict[str, Any]
Step = Callable[["Replay", Entry], None]


@dataclass(frozen=True)
class Scenario:
    """What a recording needs besides its own requests.

    `settings` and `rows` are there at the start. `before[label]` does what the recorder did outside the
    file (quotas changed, a runner that fails, unrecorded calls). `instead[label]` replays an entry that
    is no plain call. `names` are names that the recording mentions outside `name` fields.
    """

    settings: Callable[[Replay], dict[str, Any]] = lambda replay: {}
    rows: Callable[[Replay], None] = lambda replay: None
    before: dict[str, Step] = field(default_factory=dict)
    instead: dict[str, Step] = field(default_factory=dict)
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: Any
    seconds: float


class Replay:
    def __init__(self, name: str, scenario: Scenario, variant: Variant, emulator: Emulator) -> None:
        raw = json.loads((RECORDINGS / f"{name}.json").read_text())
        names = sorted({*_names(raw), *scenario.names}, key=len, reverse=True)
        self.recording = name
        self.scenario = scenario
        self.variant = variant
        self.emulator = emulator
        self.entries: list[Entry] = [variant.apply(entry, names) for entry in raw]
        self.ids = variant.ids(_ids(raw))
        self.known: set[str] = set()
        self.client = httpx.Client(base_url=emulator.url, timeout=PATIENCE, verify=False, limits=FOR_GOOD)
        self.pool = ThreadPoolExecutor(16)
        self.problems: list[str] = []
        self.held: list[Future[Reply]] = []
        self.memory: dict[str, Any] = {}

    def run(self) -> None:
        """Replay every entry; raises AssertionError with every difference."""
        with self.client, self.pool:
            self.emulator.reset(**(standard_settings(self) | self.scenario.settings(self)))
            self.emulator.stop_clock()
            self.scenario.rows(self)
            for entry in self.entries:
                if (self.recording, entry.get("label")) not in SKIPPED:
                    self._entry(entry)
        assert not self.problems, "\n".join(self.problems)

    # entries

    def _entry(self, entry: Entry) -> None:
        label = entry.get("label", "")
        sequence = entry.get("seq") or entry.get("seq_state_desired_backup_http")
        if label in self.scenario.before and not sequence:
            self.scenario.before[label](self, entry)
        if label in self.scenario.instead:
            self.scenario.instead[label](self, entry)
        elif "response" in entry:
            self.check(entry, self.send(entry["request"]))
        elif sequence:
            self.check_sequence(label, [state for _, state in sequence])
        else:
            self.problems.append(f"{label}: nothing replays this entry")

    def check(self, entry: Entry, reply: Reply) -> None:
        """Status, headers, body and how long the answer was held."""
        label, recorded = entry["label"], entry["response"]
        self._learn(entry, reply)
        if reply.status != recorded["status"]:
            found = [f"recorded {recorded['status']} {recorded['body']}, got {reply.status} {reply.body}"]
        else:
            found = header_differences(recorded["headers"], reply.headers)
            found += differences(recorded["body"], reply.body, ids=self.ids)
        held = entry.get("elapsed_ms", 0) / 1000
        if abs(held - reply.seconds) > max(0.25, held / 4):
            found.append(f"recorded answer after {held} s, got after {reply.seconds} s")
        self.problems += [f"{label}: {problem}" for problem in found]

    def check_sequence(self, label: str, recorded: list[list[Any]], *, key: str = "") -> None:
        """The states that GET shows one after the other, until the recorded number of them was seen."""
        seen: list[list[Any]] = []
        for _ in range(400):
            state = self.observe(key or self.memory["sandbox"])
            state = [None if wanted is None else got for wanted, got in zip(recorded[0], state, strict=True)]
            if not seen or seen[-1] != state:
                seen.append(state)
            if len(seen) >= len(recorded):
                break
            self.emulator.step()
        if seen != recorded:
            self.problems.append(f"{label}: recorded {recorded}, got {seen}")

    def observe(self, key: str) -> list[Any]:
        reply = self.call("GET", f"/api/sandbox/{key}")
        body = reply.body if reply.status == 200 else {}
        return [body.get("state"), body.get("desiredState"), body.get("backupState"), reply.status]

    # calls

    def call(self, method: str, path: str, body: Any = None) -> Reply:
        """A call of our own, with the recording's key."""
        return self.send({"method": method, "path": path, "body": body})

    def send(self, request: dict[str, Any]) -> Reply:
        """Send and, while the answer is held, let emulated time pass."""
        return self.finish(self.begin(request))

    def begin(self, request: dict[str, Any]) -> Future[Reply]:
        """Send in the background, and return when the request has arrived."""
        before = self._arrived()
        future = self.pool.submit(self._send, request)
        wait_until(lambda: self._arrived() > before or future.done(), pause=0.001, what="arrival")
        return future

    def finish(self, future: Future[Reply]) -> Reply:
        while not future.done():
            if self.emulator.counts()["calls"] > len(self.held):
                self.emulator.step()
        return future.result()

    def hold(self, request: dict[str, Any]) -> Future[Reply]:
        """Begin a call that stays open while others are made; `release` waits for its answer."""
        future = self.begin(request)
        self.held.append(future)
        return future

    def release(self, future: Future[Reply]) -> Reply:
        self.held.remove(future)
        return self.finish(future)

    def at_once(self, requests: list[dict[str, Any]]) -> list[Reply]:
        """Send all at the same time: none is answered before all have arrived."""
        before = self._arrived()
        futures = [self.pool.submit(self._send, request) for request in requests]

        def arrived() -> bool:
            for future in futures:
                if future.done():
                    future.result()  # one that could not be sent never arrives, and says why
            return self._arrived() >= before + len(requests)

        wait_until(arrived, pause=0.001, what="arrivals")
        return [self.finish(future) for future in futures]

    def until(self, key: str, state: str) -> None:
        """Let time pass until GET shows the state."""
        for _ in range(50):
            if self.observe(key)[0] == state:
                return
            self.emulator.step()
        raise AssertionError(f"{key} never became {state}: {self.observe(key)}")

    def _send(self, request: dict[str, Any]) -> Reply:
        headers = dict(request.get("headers") or {})
        key = request.get("key", self.variant.text("dtn_riguserkey"))
        if key is not None:
            headers.setdefault("Authorization", f"Bearer {key}")
        body = request.get("body")
        content = body if isinstance(body, str) else json.dumps(body)
        if body is not None:
            headers["Content-Type"] = "application/json"
        path = translate(request["path"], self.ids)
        began = self.emulator.now()
        answer = self.client.request(
            request["method"], path, headers=headers, content=None if body is None else content
        )
        seconds = self.emulator.now() - began
        parsed = answer.json() if answer.content else ""
        return Reply(answer.status_code, dict(answer.headers), parsed, seconds)

    def _arrived(self) -> int:
        return sum(self.emulator.counts()["daytona"].values())

    # rows

    def seed(self, body: dict[str, Any], **changes: Any) -> str:
        """Put a recorded Sandbox there, with changes; returns its id in this run."""
        self.known.add(body["id"])
        row = {key: value for key, value in body.items() if key not in NOT_SEEDED} | changes
        row = {key: translate(value, self.ids) for key, value in row.items()}
        return self.emulator.seed([row])[0]

    def recorded(self, label: str) -> Any:
        """The recorded body of an entry."""
        return next(entry["response"]["body"] for entry in self.entries if entry.get("label") == label)

    def fill(self, name: str, **changes: Any) -> str:
        """A sandbox that the recording does not show, but that used its organisation's quota."""
        row = {"name": name, "autoStopInterval": 0, "organizationId": self.organization, "target": self.region}
        sizes = {kind: self.variant.amount(kind, size) for kind, size in (("cpu", 1), ("memory", 1), ("disk", 3))}
        return self.emulator.seed([row | sizes | changes])[0]

    def quota(self, *, cpu: int, memory: int, disk: int) -> dict[str, int]:
        amounts = {"cpu": cpu, "memory": memory, "disk": disk}
        return {kind: self.variant.amount(kind, number) for kind, number in amounts.items()}

    @property
    def organization(self) -> str:
        return self.variant.text("11111111-1111-4111-8111-111111111111")

    @property
    def region(self) -> str:
        return str(self.variant.apply({"target": "us"}, ())["target"])

    def _learn(self, entry: Entry, reply: Reply) -> None:
        """The first answer that shows a created sandbox tells its id in this run.

        The sequences that follow a call are about its sandbox.
        """
        body, recorded = reply.body, entry["response"]["body"]
        if isinstance(body, dict) and isinstance(recorded, dict) and "id" in body and "id" in recorded:
            if recorded["id"] not in self.known:
                self.know(recorded["id"], body["id"])
            self.memory["sandbox"] = body["id"]

    def know(self, recorded: str, key: str) -> None:
        """Bind a recorded id to the id of this run."""
        self.known.add(recorded)
        self.ids[recorded] = key


def standard_settings(replay: Replay) -> dict[str, Any]:
    """The installation that was recorded: its keys, sizes and pace; crons only where a recording waits."""
    variant, organization = replay.variant, replay.organization
    size = {kind: variant.amount(kind, number) for kind, number in (("cpu", 1), ("memory", 1), ("disk", 3))}
    write = ["write:sandboxes", "delete:sandboxes"]
    other = variant.text("22222222-2222-4222-8222-222222222222")
    return {
        "transition": 0.3,
        "archive": 16.0,
        "minute": 1e9,
        "keys": {
            variant.text("dtn_riguserkey"): {"organization": organization, "permissions": write},
            "dtn_riguserrokey": {"organization": organization, "permissions": []},
            "dtn_riguser2key": {"organization": other, "permissions": write},
            "dtn_rigexpired": {"organization": organization, "permissions": write, "expired": True},
        },
        "snapshots": {variant.text("ubuntu:22.04"): size},
        "default_snapshot": variant.text("ubuntu:22.04"),
        "default_region": replay.region,
        "per_sandbox": {"cpu": variant.amount("cpu", 4)},
        "dashboard_url": variant.text("http://127.0.0.1:53000/dashboard"),
        "toolbox_url": variant.text("http://127.0.0.1:54000/toolbox"),
    }


def _names(value: Any) -> Iterator[str]:
    """Every `name` of a sandbox in the recording, without ids and `DESTROYED_` names."""
    if isinstance(value, dict):
        name = value.get("name")
        if isinstance(name, str) and name and name != value.get("id") and not name.startswith("DESTROYED_"):
            yield name
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _names(inner)


def _ids(value: Any) -> set[str]:
    found: set[str] = set()
    if isinstance(value, dict):
        if isinstance(value.get("id"), str):
            found.add(value["id"])
        for inner in value.values():
            found |= _ids(inner)
    elif isinstance(value, list):
        for inner in value:
            found |= _ids(inner)
    return found
