"""Watching: Daytona's events become looks, so that what it does by itself shows at once."""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

import structlog
from django.db import DatabaseError, InterfaceError, close_old_connections
from django.db.models import Q

from sandboxes import clock
from sandboxes.models import Sandbox, Sweep
from sandboxes.providers.daytona.events import DaytonaError, Event, EventStream
from sandboxes.services import lifecycle, notices, reconcile, sandbox_store
from sandboxes.services.loops import repeat
from sandboxes.services.standby import StandbyTurn

log = structlog.get_logger(__name__)

LEASE = "watch"
THREADS = 4
LOOK_FOR_TURN = 1.0  # seconds
LOOK_FOR_HINTS = 0.05  # seconds
DEBOUNCE = 0.15  # seconds; what happens to one sandbox within it takes one look
FIRST_AGAIN, LONGEST_AGAIN = 0.2, 4.0  # pauses before looking again
GIVE_UP_AFTER = 15.0  # seconds; Daytona answers GETs from a cache of up to 10 s
FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 30.0
FIRST_SWEEP_AGAIN, LONGEST_SWEEP_AGAIN = 2.0, 300.0  # pauses before the next try of a sweep that did not see all
GOOD_CONNECTION = 30.0  # a connection that lasted so long starts the backoff anew


@dataclass(frozen=True, slots=True)
class Hint:
    """Look at this sandbox at `due`. `since`: when the event came; both of the monotonic clock."""

    event: Event
    due: float
    since: float
    pause: float = FIRST_AGAIN


class Hints:
    """The latest hint of each sandbox, debounced. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hints: dict[str, Hint] = {}

    def add(self, event: Event) -> None:
        """Its latest event counts, and is due when the first of a burst is."""
        now = clock.monotonic()
        with self._lock:
            waiting = self._hints.get(event.daytona_id)
            due = now + DEBOUNCE if waiting is None else min(waiting.due, now + DEBOUNCE)
            self._hints[event.daytona_id] = Hint(event, due, now)

    def again(self, hint: Hint) -> None:
        """Look again later, unless a newer event has come or it was long enough."""
        now = clock.monotonic()
        if now - hint.since > GIVE_UP_AFTER:
            return
        later = replace(hint, due=now + hint.pause, pause=min(hint.pause * 2, LONGEST_AGAIN))
        with self._lock:
            self._hints.setdefault(hint.event.daytona_id, later)

    def take(self) -> Hint | None:
        """One that is due."""
        now = clock.monotonic()
        with self._lock:
            due = next((hint for hint in self._hints.values() if hint.due <= now), None)
            if due is not None:
                del self._hints[due.event.daytona_id]
        return due


class Watch:
    """`run` blocks until `stop` is set. A lost connection is made again, and followed by a sweep: nothing replays
    what happened meanwhile. Of several processes one follows, and another takes over when that one is gone."""

    def __init__(self, stream: EventStream, *, stop: threading.Event) -> None:
        self.hints = Hints()
        self.connected = threading.Event()
        self._stream = stream
        self._stop = stop
        self._turn = StandbyTurn(LEASE)
        self._sweep_wanted = threading.Event()

    def run(self) -> None:
        parts = {"follow": self._follow, "sweep": self._sweep_when_wanted}
        parts |= {f"hints-{number}": self._answer_hints for number in range(THREADS)}
        again = partial(repeat, every=0.0, stop=self._stop)
        threads = [threading.Thread(target=again, args=part, name=part[0], daemon=True) for part in parts.items()]
        threads.append(
            threading.Thread(target=self._turn.keep, kwargs={"stop": self._stop}, name="turn", daemon=True)
        )
        for thread in threads:
            thread.start()
        try:
            self._stop.wait()
        finally:
            self._stop.set()
            self._sweep_wanted.set()
            for thread in threads:
                thread.join()

    # the connection

    def _follow(self) -> None:
        backoff = FIRST_BACKOFF
        while not self._stop.is_set():
            if not self._turn.ours.wait(LOOK_FOR_TURN):
                continue
            began = clock.monotonic()
            asked_for = self._follow_once()
            if clock.monotonic() - began > GOOD_CONNECTION:
                backoff = FIRST_BACKOFF
            self._stop.wait(max(asked_for, backoff * random.uniform(0.5, 1.0)))
            backoff = min(backoff * 2, LONGEST_BACKOFF)

    def _follow_once(self) -> float:
        """One connection from beginning to end; returns how long Daytona wants to be left alone, or 0."""
        try:
            self._stream.follow(self.hints.add, stop=self._turn.over, on_connect=self._on_connect)
        except DaytonaError as error:
            log.warning("events_not_connected", error=error.message)
            return self._meaning(error)
        finally:
            self.connected.clear()
        log.info("events_disconnected")
        return 0.0

    def _meaning(self, error: DaytonaError) -> float:
        """A refused key is a notice, and bad keys lock the address out: no haste then."""
        close_old_connections()
        with suppress(DatabaseError, InterfaceError):
            notices.tell_of(error.as_result())
        return float(getattr(error, "retry_after", 0.0))

    def _on_connect(self) -> None:
        log.info("events_connected")
        self.connected.set()
        self._sweep_wanted.set()

    # a sweep after each connect

    def _sweep_when_wanted(self) -> None:
        pause = FIRST_SWEEP_AGAIN
        while not self._stop.is_set():
            self._sweep_wanted.wait()
            if self._stop.is_set():
                return
            self._sweep_wanted.clear()
            if self._swept():
                pause = FIRST_SWEEP_AGAIN
                continue
            self._sweep_wanted.set()
            self._stop.wait(pause)
            pause = min(pause * 2, LONGEST_SWEEP_AGAIN)

    def _swept(self) -> bool:
        """Whether a sweep of our own saw all: one that was under way may have passed what changed since."""
        close_old_connections()
        try:
            result = reconcile.sweep(stop=self._stop)
        except reconcile.SweepUnderWay:
            return False
        except (DatabaseError, InterfaceError) as error:
            log.error("sweep_failed", error=str(error))
            return False
        except Exception:
            log.exception("sweep_failed")
            return False
        log.info("swept", result=result.result, drift=result.report.counts["drift"], detail=result.detail)
        # A refused one saw all as well: it is for people to say what follows.
        return result.result != Sweep.Result.PARTIAL

    # hints

    def _answer_hints(self) -> None:
        while not self._stop.wait(LOOK_FOR_HINTS):
            while (hint := self.hints.take()) is not None:
                self._answer(hint)

    def _answer(self, hint: Hint) -> None:
        close_old_connections()
        try:
            if not look(hint.event):
                self.hints.again(hint)
        except (DaytonaError, DatabaseError, InterfaceError) as error:
            log.warning("look_failed", daytona_id=hint.event.daytona_id, error=f"{type(error).__name__}: {error}")
            self.hints.again(hint)
        except Exception:
            log.exception("look_failed", daytona_id=hint.event.daytona_id)


def look(event: Event) -> bool:
    """GET the sandbox and record what it says. False: it still shows the older state, look again."""
    row = _row_of(event)
    if row is None:
        return True  # not ours; an orphan is the sweep's to report
    looked = lifecycle.observe(row.pk, raises=True, ended=event.is_end)
    if sandbox_store.active_operation(row.pk) is not None:
        return True  # its attempts look
    return looked and _shows(Sandbox.objects.get(pk=row.pk), event)


def _row_of(event: Event) -> Sandbox | None:
    wanted = Q(daytona_id=event.daytona_id)
    with suppress(ValueError):
        wanted |= Q(pk=UUID(event.sandkeeper_id), daytona_id=None)
    return Sandbox.objects.filter(wanted).first()


def _shows(row: Sandbox, event: Event) -> bool:
    if event.is_end:
        return row.deleted_at is not None or (event.state != "destroyed" and row.desired_state == "destroyed")
    return (row.observed_state, row.desired_state) == (event.state, event.desired_state)
