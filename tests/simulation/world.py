"""Daytona as it was recorded, with its faults: states that move, a cache of GETs, answers late or lost."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sandboxes.core.facts import CallResult, RemoteSandbox, SandboxFacts
from sandboxes.core.results import ResultKind
from sandboxes.core.states import COMPUTE_STATES, DISK_STATES, ERROR_STATES
from sandboxes.core.vocabulary import Action

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
READ_CACHE, ANSWER_WITHIN, LATEST = 10.0, 35.0, 240.0  # seconds; LATEST: how late a lost call may still run
K = ResultKind
# What GET shows while the row still holds the old state.
PROJECTED = {
    ("started", "stopped"): "stopping", ("started", "destroyed"): "destroying", ("stopped", "started"): "starting",
    ("stopped", "archived"): "archiving", ("stopped", "destroyed"): "destroying",
}  # fmt: skip
# The states that a job passes, and the shares of its time after which it does.
JOBS = {
    "create": (("creating", 0.0), ("started", 1.0)),
    "start": (("starting", 0.3), ("started", 1.0)),
    "restore": (("restoring", 0.5), ("started", 1.0)),
    "stop": (("stopping", 0.3), ("stopped", 1.0)),
    "archive": (("archiving", 0.0), ("archived", 1.0)),
    "destroy": (("destroying", 0.3), ("destroyed", 1.0)),
}
# What people in its dashboard do, and its own intervals.
OUTSIDE = {
    "started": ("stop", "stop", "stop", "destroy"),
    "stopped": ("start", "archive"),
    "archived": ("restore",),
}
# What is the matter with Daytona for a while, and how often.
WEATHER = {
    "fine": 12, "throttling": 2, "outage": 1, "deaf": 3, "not found": 1, "suspended": 1, "key refused": 1,
    "no runner": 1,
}  # fmt: skip
NOT_NOW = {
    "throttling": K.THROTTLED, "suspended": K.SUSPENDED, "key refused": K.UNAUTHORIZED, "no runner": K.NO_RUNNERS,
}  # fmt: skip


FULL: dict[ResultKind, tuple[str, float]] = {
    K.COMPUTE_QUOTA_FULL: ("CPU", 100.0),
    K.DISK_QUOTA_FULL: ("disk", 100.0),
}


class Time:
    """The only clock, and what is to happen; `steps` counts what workers, people and Daytona did."""

    def __init__(self) -> None:
        self.seconds, self.steps = 0.0, 0
        self._coming: list[tuple[float, int, Callable[[], object]]] = []
        self._number = 0

    @property
    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.seconds)

    def after(self, seconds: float, what: Callable[[], object]) -> None:
        self._number += 1
        heapq.heappush(self._coming, (self.seconds + max(seconds, 0.0), self._number, what))

    def run(self, *, until: float) -> None:
        while self._coming and self._coming[0][0] <= until:
            self.seconds, _, what = heapq.heappop(self._coming)
            what()
        self.seconds = until


class Reply:
    """The answer to a call that is out."""

    def __init__(self) -> None:
        self._result: CallResult | None = None
        self._then: Callable[[CallResult], object] | None = None

    def give(self, result: CallResult) -> None:
        if self._result is None:
            self._result = result
            if self._then is not None:
                self._then(result)

    def when_given(self, then: Callable[[CallResult], object]) -> None:
        self._then = then
        if self._result is not None:
            then(self._result)


@dataclass
class Box:
    """A sandbox in Daytona.

    `changed_at`: of its state or desired state; `stirred_at`: by anybody but us; `late_at`: by a call of ours that
    ran late; `set_at`: when somebody there changed a setting.
    """

    id: str
    name: str
    labels: dict[str, str]
    auto_delete: int
    auto_stop: int
    state: str = "creating"
    desired: str = "started"
    recoverable: bool = False
    recoveries: int = 0
    job: int = 0
    changed_at: float = 0.0
    runs_since: float = 0.0
    stirred_at: float = -1.0
    late_at: float = -1.0
    set_at: float = -1.0
    active_at: float = 0.0
    cached: tuple[float, RemoteSandbox | None] = (-1e9, None)
    lasting: list[Reply] = field(default_factory=list)

    @property
    def is_moving(self) -> bool:
        return self.state != self.desired and self.state not in ERROR_STATES


class Daytona:
    """`faults` is 1 while the world is hostile and 0 when it has calmed down; `skew`: its clock against ours."""

    def __init__(self, time: Time, rng: Random, *, capacity: int, disk: int, say: Callable[[str], None]) -> None:
        self.time, self.rng, self.capacity, self.disk, self.say = time, rng, capacity, disk, say
        self.boxes: dict[str, Box] = {}
        self.faults, self.weather = 1.0, "fine"
        self.skew = rng.uniform(-40, 40)
        self.hint: Callable[[str], None] = lambda box_id: None
        self.is_slow = rng.random() < 0.3
        self.held_up: float | None = None  # how long after it was made the next call is carried out, unanswered

    def chance(self, share: float) -> bool:
        return self.rng.random() < share * self.faults

    def change_weather(self) -> None:
        if not self.faults:
            self.weather = "fine"
            return
        self.weather = self.rng.choices(list(WEATHER), list(WEATHER.values()))[0]
        self.say(f"Daytona: {self.weather}")
        self.time.after(self.rng.expovariate(1 / self.rng.choice((20, 60, 60, 400))), self.change_weather)

    # --- what is read

    def get(self, row: SandboxFacts) -> RemoteSandbox | ResultKind | None:
        """What a GET says: a sandbox, None for a 404, or why it failed."""
        if self.weather == "outage":
            return K.NOTHING_SAID
        if self.weather in ("throttling", "key refused") and self.rng.random() < 0.5:
            return NOT_NOW[self.weather]
        if self.chance(0.02):
            return self.rng.choice((K.NO_ANSWER, K.NOTHING_SAID, K.NOT_SENT, K.REJECTED))
        if (self.weather == "not found" and self.rng.random() < 0.7) or self.chance(0.003):
            return None
        box = self.find(row)
        if box is None:
            return None
        if self.time.seconds - box.cached[0] >= READ_CACHE or self.rng.random() < 0.3:
            box.cached = (self.time.seconds, self._show(box))
        return box.cached[1]

    def lists(self, row: SandboxFacts) -> bool | ResultKind:
        """Whether the list shows it; it fails where the database is away."""
        return K.NOTHING_SAID if self.weather in ("not found", "outage") else self.find(row) is not None

    def find(self, row: SandboxFacts) -> Box | None:
        if row.daytona_id is not None:
            return self.boxes.get(row.daytona_id)
        return next((box for box in self.boxes.values() if box.name == row.daytona_name), None)

    def _show(self, box: Box) -> RemoteSandbox | None:
        if box.state == "destroyed":
            return None
        used = EPOCH + timedelta(seconds=box.active_at + self.skew)
        return RemoteSandbox(
            id=box.id, organization_id="org", name=box.name, target="eu", snapshot="", cpu=1, memory_gb=1,
            disk_gb=3, state=PROJECTED.get((box.state, box.desired), box.state), desired_state=box.desired,
            error_reason="broken" if box.state in ERROR_STATES else "", recoverable=box.recoverable,
            auto_stop_interval=box.auto_stop, auto_archive_interval=10080, auto_delete_interval=box.auto_delete,
            sandbox_class="container", labels=box.labels, created_at=None, last_activity_at=used,
        )  # fmt: skip

    # --- what is asked

    def send(self, name: str, row: SandboxFacts) -> Reply:
        """A call goes out; whoever made it may not live to hear the answer."""
        reply, fate, travel = Reply(), self.rng.random(), self.rng.uniform(0.01, 0.5)

        def lose() -> None:
            reply.give(CallResult(K.NO_ANSWER))

        if self.held_up is not None:
            self.time.after(ANSWER_WITHIN, lose)
            self.time.after(self.held_up, lambda: self._carry_out(name, row, Reply(), is_late=True))
            self.held_up = None
            return reply
        if self.weather == "outage" and fate < 0.7:
            fate = self.rng.uniform(0, 0.2) * self.faults
        if self.weather == "deaf":
            fate = self.rng.choice((0.0, 0.1, 0.1, 1.0)) if self.faults else fate
        if fate < 0.03 * self.faults:  # it is lost on its way
            self.time.after(self.rng.choice((5, ANSWER_WITHIN)), lose)
        elif fate < 0.13 * self.faults:  # it is held up, and carried out when nobody waits for it any more
            self.time.after(self.rng.choice((5, ANSWER_WITHIN)), lose)
            late = self.rng.uniform(1, LATEST)
            self.time.after(late, lambda: self._carry_out(name, row, Reply(), is_late=True))
        elif fate < 0.16 * self.faults:  # it is carried out, and the answer is lost
            self.time.after(travel, lambda: self._carry_out(name, row, Reply()))
            self.time.after(
                travel + 1, lambda: reply.give(CallResult(self.rng.choice((K.NO_ANSWER, K.NOTHING_SAID))))
            )
        elif fate < 0.19 * self.faults:
            self.time.after(travel, lambda: reply.give(CallResult(self.rng.choice((K.NOT_SENT, K.NOTHING_SAID)))))
        else:
            self.time.after(travel, lambda: self._carry_out(name, row, reply))
            self.time.after(ANSWER_WITHIN, lose)
        return reply

    def _carry_out(self, name: str, row: SandboxFacts, reply: Reply, *, is_late: bool = False) -> None:
        self.time.steps += 1
        kind = self._refusal(name, row)
        self.say(f"Daytona: {'late ' if is_late else ''}{name} of {row.name}: {kind or 'carried out'}")
        if kind is not None:
            retry_after = self.rng.choice((0.0, 2.0, 20.0)) if kind is K.THROTTLED else 0.0
            resource, limit = FULL.get(kind, ("", None))
            reply.give(
                CallResult(kind, f"Daytona says {kind}", retry_after=retry_after, resource=resource, limit=limit)
            )
            return
        box = self.find(row) or self._insert(row)
        if is_late:
            box.late_at = self.time.seconds
        holds = self._begin(name, box)
        if holds:
            box.lasting.append(reply)
            self.time.after(30, lambda: reply.give(CallResult(K.ACCEPTED, remote=self._show(box))))
        else:
            reply.give(CallResult(K.ACCEPTED, remote=self._show(box)))

    def _refusal(self, name: str, row: SandboxFacts) -> ResultKind | None:
        box, starts = self.find(row), name in (Action.CREATE, Action.START, Action.RECOVER)
        no = NOT_NOW.get(self.weather)
        if no is not None and (starts or no in (K.THROTTLED, K.UNAUTHORIZED)) and self.rng.random() < 0.8:
            return no
        if name == Action.CREATE:
            if box is not None:
                return K.NAME_TAKEN
        elif box is None:
            return K.REJECTED  # 404
        else:
            if self.chance(0.02):
                return self.rng.choice((K.BUSY, K.BUSY, K.WRONG_STATE, K.REJECTED))
            if no := _not_in_this_state(name, box):
                return no
        if starts and self.used() >= self.capacity and (box is None or box.state not in COMPUTE_STATES):
            return K.COMPUTE_QUOTA_FULL
        needs_disk = name == Action.CREATE or (name == Action.START and box is not None and box.state == "archived")
        return K.DISK_QUOTA_FULL if needs_disk and self.used_disk() >= self.disk else None

    def used_disk(self) -> int:
        return sum(box.state in DISK_STATES for box in self.boxes.values())

    def used(self) -> int:
        return sum(
            box.state in COMPUTE_STATES or (box.desired == "started" and box.state not in ERROR_STATES)
            for box in self.boxes.values()
        )

    # --- what happens there

    def _insert(self, row: SandboxFacts) -> Box:
        box = Box(
            f"d-{len(self.boxes)}-{row.name}", row.daytona_name, {"sandkeeper_id": str(row.id)},
            auto_delete=row.auto_delete_minutes if row.auto_delete_minutes is not None else -1,
            auto_stop=row.auto_stop_minutes or 0, changed_at=self.time.seconds, active_at=self.time.seconds,
        )  # fmt: skip
        self.boxes[box.id] = box
        return box

    def _begin(self, name: str, box: Box) -> bool:
        """Returns whether the answer is held until it runs."""
        if name == Action.RECOVER:
            box.recoveries += 1
            box.recoverable, box.state = False, "stopped"
        frozen = box.state == "archived"
        ends_it = name == Action.DELETE or (name == Action.STOP and box.auto_delete == 0)
        job = {"recover": "start", "start": "restore" if frozen else "start"}.get(name, name)
        if box.state == "started" and name == Action.START:
            return False  # it runs: Daytona answers at once
        self.begin("destroy" if ends_it else job, box)
        return name in (Action.CREATE, Action.RECOVER) or (name == Action.START and not frozen)

    def begin(self, job: str, box: Box) -> None:
        """A job of Daytona's: from now on the row says what is desired."""
        box.job += 1
        number, phases = box.job, JOBS[job]
        box.desired, box.changed_at = phases[-1][0], self.time.seconds
        lasts = self.rng.uniform(0.5, 6) * (10 if job in ("archive", "restore") or self.is_slow else 1)
        if self.chance(0.03):
            lasts += self.rng.uniform(60, 400)
        if job != "destroy" and self.chance(0.06):
            phases = (*phases[:-1], ("error", 1.0))
        for state, share in phases:
            self.time.after(lasts * share, lambda state=state: self._move(box, number, state))  # type: ignore[misc]

    def _move(self, box: Box, number: int, state: str) -> None:
        if box.job != number:
            return
        self.time.steps += 1
        self.say(f"Daytona: {box.name} is {state}")
        if state == "started":
            box.runs_since = self.time.seconds
        box.state, box.changed_at = state, self.time.seconds
        box.active_at = self.time.seconds
        if state == "error":
            box.recoverable, box.stirred_at = box.recoveries < 2 and self.rng.random() < 0.7, self.time.seconds
        if state == "destroyed":
            self.boxes[box.id].name = f"DESTROYED_{box.name}"
            del self.boxes[box.id]
        if not box.is_moving:
            failed = state == "error"
            held, box.lasting = box.lasting, []
            for reply in held:
                reply.give(
                    CallResult(K.START_FAILED, "broken")
                    if failed
                    else CallResult(K.ACCEPTED, remote=self._show(box))
                )
        self.hint(box.id)

    def stir(self) -> None:
        """Somebody in Daytona's dashboard, or its own auto-stop."""
        box = self.rng.choice(list(self.boxes.values())) if self.boxes else None
        if box is None or box.is_moving:
            return
        if self.rng.random() < 0.2:
            box.auto_delete, box.set_at = self.rng.choice((0, 30, -1, -1)), self.time.seconds
            self.say(f"Somebody there: auto-delete of {box.name} is {box.auto_delete}")
        elif box.state in OUTSIDE:
            job = self.rng.choice(OUTSIDE[box.state])
            self.say(f"Somebody there: {job} of {box.name}")
            box.stirred_at = self.time.seconds
            self.begin("destroy" if job == "stop" and box.auto_delete == 0 else job, box)


def _not_in_this_state(name: str, box: Box) -> ResultKind | None:
    """Daytona's preconditions, in its order."""
    if name == Action.DELETE:
        return K.BUSY if box.is_moving and box.desired != "archived" else None
    if name == Action.RECOVER:
        return None if box.state == "error" and box.recoverable else K.WRONG_STATE
    if box.state in ERROR_STATES:
        return K.WRONG_STATE
    leaves_archive = name == Action.START and box.desired == "archived"
    if box.is_moving and not leaves_archive:
        return K.BUSY
    if name == Action.START:
        return None
    return None if box.state == {"stop": "started", "archive": "stopped"}[name] else K.WRONG_STATE
