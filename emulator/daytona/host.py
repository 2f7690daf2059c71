"""The sandbox host: carries out accepted changes, step by step, on the emulator's clock.

Each step belongs to a turn of its row; whatever changes the row's course takes a new turn, and the
steps of the old one find that and do nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.daytona.sandbox import RUNNER_ID, VERSION, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.core import Core
    from emulator.daytona.world import World
    from emulator.faults import Fault


@dataclass(frozen=True)
class Work:
    """One kind of job: the raw state while it runs, and the state after."""

    operation: str
    during: str
    after: str
    timeout: str | None = None


WORKS = {
    "create": Work("create", "creating", "started", "create_timeout"),
    "start": Work("start", "starting", "started", "start_timeout"),
    "resume": Work("start", "resuming", "started", "start_timeout"),
    "restore": Work("restore", "restoring", "started", "restore_timeout"),
    "stop": Work("stop", "stopping", "stopped"),
    "destroy": Work("delete", "destroying", "destroyed"),
}
TIMED_OUT = {
    "create": "Timeout while creating sandbox",
    "start": "Timeout while starting sandbox",
    "resume": "Timeout while resuming sandbox",
    "restore": "Timeout while restoring sandbox",
}


class Host:
    def __init__(self, core: Core, world: World) -> None:
        self.core = core
        self.world = world
        self._waiting: list[Callable[[], None]] = []
        core.on_settings.append(self._runner_back)

    def clear(self) -> None:
        self._waiting.clear()

    def begin(self, row: Sandbox, job: str) -> None:
        """Start a job; the row's desired state is already what the job leads to."""
        row.turn += 1
        self.world.write(row, job=job)
        if job == "archive":
            self._later(row, 0, lambda: self._back_up(row))
        else:
            self._later(row, self._hand_over(), lambda: self._claim(row, WORKS[job]))

    def resume_all(self) -> None:
        """After a restart: what was under way goes on (recording 15_outages)."""
        for row in list(self.world.rows.values()):
            if row.job == "archive":
                self._later(row, self._hand_over(), lambda row=row: self._back_up(row))  # type: ignore[misc]
            elif row.job in WORKS:
                self._later(row, self._hand_over(), lambda row=row: self._claim(row, WORKS[row.job or ""]))  # type: ignore[misc]
            elif row.job == "recover":
                self.recovered(row)

    # steps

    def _claim(self, row: Sandbox, work: Work) -> None:
        runner = self.core.settings.runner
        if runner in ("unresponsive", "none"):
            turn = row.turn
            self._waiting.append(lambda: self._claim(row, work) if row.turn == turn else None)
            return
        if work.operation == "delete" and row.state in ("archived", "pending_build"):
            self.world.write(row, state="destroyed", job=None)
            return
        outcome = self.outcome(row, work.operation)
        self.world.write(row, state=work.during)
        self._watch_timeout(row, work)
        if runner == "dead" or (outcome and outcome.never):
            return
        self._later(row, self.seconds(outcome), lambda: self._finish(row, work, outcome))

    def _finish(self, row: Sandbox, work: Work, outcome: Fault | None) -> None:
        if outcome and outcome.error:
            self.fail(row, outcome.error, recoverable=outcome.recoverable)
            return
        row.turn += 1
        backup, version, runner = row.backup_state, row.daemon_version, row.runner_id
        if work.after == "started":
            version, runner = VERSION, RUNNER_ID
        if work.after == "stopped" or work.operation == "restore" or backup == "Error":
            backup = "None"
        self.world.write(
            row, state=work.after, job=None, backup_state=backup, daemon_version=version, runner_id=runner
        )

    def fail(self, row: Sandbox, reason: str, *, recoverable: bool) -> None:
        row.turn += 1
        self.world.write(row, state="error", job=None, error_reason=reason, recoverable=recoverable)

    def recovered(self, row: Sandbox) -> None:
        row.recoveries += 1
        self.world.write(row, state="stopped", desired="stopped", job=None, error_reason=None, recoverable=False)

    def _watch_timeout(self, row: Sandbox, work: Work) -> None:
        """Daytona gives up this long after the row's last activity (recording 17_start_timeout)."""
        if work.timeout is None:
            return
        limit = getattr(self.core.settings, work.timeout)
        left = limit - (self.world.micros() - (row.last_activity_at or 0)) / 1e6
        if left <= 0:
            self.fail(row, TIMED_OUT[row.job or "start"], recoverable=False)
        else:
            self._later(row, left + 0.001, lambda: self._watch_timeout(row, work))

    # archiving: a backup, then the move (recording 04_lifecycle; failing for ever: 13)

    def _back_up(self, row: Sandbox) -> None:
        self.world.write(row, backup_state="Pending")
        self._later(row, self.core.settings.archive * 0.3, lambda: self._run_backup(row))

    def _run_backup(self, row: Sandbox) -> None:
        self.world.write(row, backup_state="InProgress")
        outcome = self.outcome(row, "backup")
        if outcome and outcome.never:
            return
        if outcome and outcome.error:
            self._later(row, self.seconds(outcome), lambda: self._backup_failed(row))
        else:
            self._later(row, self.core.settings.archive * 0.2, lambda: self._backup_done(row))

    def _backup_failed(self, row: Sandbox) -> None:
        self.world.write(row, backup_state="Error")
        self._later(row, self.core.settings.cron_every, lambda: self._back_up_again(row))

    def _back_up_again(self, row: Sandbox) -> None:
        self.world.write(row, backup_state="Pending")
        self._later(row, self.core.settings.cron_every, lambda: self._run_backup(row))

    def _backup_done(self, row: Sandbox) -> None:
        now = self.world.micros()
        self.world.write(row, backup_state="Completed", backup_created_at=now)
        self._later(row, self.core.settings.archive * 0.5, lambda: self._archived(row))

    def _archived(self, row: Sandbox) -> None:
        self.world.write(row, state="archived", runner_id=None, job=None)

    # help

    def outcome(self, row: Sandbox, operation: str) -> Fault | None:
        return self.core.faults.for_host(operation=operation, sandbox=row.id, name=row.name)

    def seconds(self, outcome: Fault | None) -> float:
        if outcome and outcome.seconds is not None:
            return outcome.seconds
        return self.core.settings.transition

    def _hand_over(self) -> float:
        """From acceptance until the raw state moves (recording 20_socketio_events: 9 to 22 ms)."""
        return min(self.core.settings.hand_over, self.core.settings.transition / 2)

    def _later(self, row: Sandbox, seconds: float, step: Callable[[], None]) -> None:
        turn = row.turn
        self.core.clock.call_later(seconds, lambda: step() if row.turn == turn else None)

    def _runner_back(self) -> None:
        if self.core.settings.runner == "ready":
            waiting, self._waiting = self._waiting, []
            for step in waiting:
                step()
