"""What the callers of bench.load ask, and what they were answered."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections import Counter, defaultdict
from typing import Any

import httpx

OWNERS = [f"user_{number}" for number in range(10)]


class Tally:
    """Answers of all callers. `asked` and `yes` are of ensure-running on sandboxes that nobody changes, without
    the time in which Daytona is `away`: nobody may say yes to what was last seen too long ago."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.asked = self.yes = 0
        self.away = threading.Event()
        self.answers: dict[str, Counter[int]] = defaultdict(Counter)
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.broken: list[str] = []

    def add(self, what: str, answer: httpx.Response, seconds: float, *, counts: bool) -> None:
        with self._lock:
            self.answers[what][answer.status_code] += 1
            self.seconds[what].append(seconds)
            if counts and not self.away.is_set():
                self.asked += 1
                self.yes += answer.status_code == 200
            if answer.status_code >= 500:
                self.broken.append(f"{what} {answer.status_code} {answer.text[:200]}")

    @property
    def requests(self) -> int:
        return sum(counted.total() for counted in self.answers.values())

    def summary(self) -> dict[str, Any]:
        return {
            what: {
                "answers": dict(self.answers[what]),
                "median ms": round(statistics.median(times) * 1000, 1),
                "99 % ms": round(sorted(times)[int(len(times) * 0.99) - 1] * 1000, 1),
            }
            for what, times in self.seconds.items()
        }


class Caller:
    def __init__(self, address: str, key: str) -> None:
        self._address = address
        self._headers = {"Authorization": f"Bearer {key}"}

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"{self._address}/api/v1", headers=self._headers, timeout=30)

    def create(self, per_owner: int) -> list[tuple[str, str]]:
        """Owner and id of sandboxes that run."""
        made: list[tuple[str, str]] = []
        with self.client() as http:
            for owner in OWNERS:
                for _ in range(per_owner):
                    answer = http.post("/sandboxes", json={}, headers={"X-On-Behalf-Of": owner})
                    assert answer.status_code == 202, answer.text
                    made.append((owner, answer.json()["sandbox"]))
            for owner, sandbox in made:
                self._wait(http, owner, sandbox)
        return made

    def _wait(self, http: httpx.Client, owner: str, sandbox: str) -> None:
        ends = time.monotonic() + 120
        while time.monotonic() < ends:
            shown = http.get(f"/sandboxes/{sandbox}", headers={"X-On-Behalf-Of": owner}).json()
            if shown["status"] == "running" and shown["operation"] is None:
                return
            time.sleep(0.1)
        raise AssertionError(f"{sandbox} does not run: {shown}")

    def work(self, tally: Tally, sandboxes: list[tuple[str, str]], ends: float, number: int) -> None:
        """Ask until the end. Every second sandbox is only used; the others are changed, too."""
        chance = random.Random(number)
        used, changed = sandboxes[::2], sandboxes[1::2]
        with self.client() as http:
            while time.monotonic() < ends:
                what = chance.random()
                owner, sandbox = chance.choice(changed if what >= 0.95 else used)
                method, path, name = _pick(what, chance)
                began = time.monotonic()
                target = path.format(sandbox=sandbox)
                answer = http.request(method, target, headers={"X-On-Behalf-Of": owner})
                tally.add(name, answer, time.monotonic() - began, counts=name == "ensure-running")


def _pick(what: float, chance: random.Random) -> tuple[str, str, str]:
    if what < 0.5:
        return "POST", "/sandboxes/{sandbox}/ensure-running", "ensure-running"
    if what < 0.8:
        return "POST", "/sandboxes/{sandbox}/touch", "touch"
    if what < 0.9:
        return "GET", "/sandboxes/{sandbox}", "read one"
    if what < 0.95:
        return "GET", "/sandboxes?limit=25", "read list"
    action = chance.choice(["start", "stop", "stop", "start", "archive"])
    return "POST", f"/sandboxes/{{sandbox}}/{action}", action
