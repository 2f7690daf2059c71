"""What Daytona does by itself every ten seconds: auto-stop, auto-archive, auto-delete, backups."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.core import Core
    from emulator.daytona.host import Host
    from emulator.daytona.lifecycle import Lifecycle
    from emulator.daytona.sandbox import Sandbox
    from emulator.daytona.world import World


class Crons:
    def __init__(self, core: Core, world: World, host: Host, lifecycle: Lifecycle) -> None:
        self.core = core
        self.world = world
        self.host = host
        self.lifecycle = lifecycle

    def schedule(self) -> None:
        """Each run arranges the next one, so a changed `cron_every` holds from then on."""
        self.core.clock.call_later(self.core.settings.cron_every, self._run)

    def _run(self) -> None:
        self.schedule()
        for row in list(self.world.rows.values()):
            if row.job is None and row.state == row.desired:
                self._look_at(row)

    def _look_at(self, row: Sandbox) -> None:
        if row.state == "started" and self._idle(row, row.auto_stop):
            self._stop(row)
        elif row.state == "stopped":
            if self._idle(row, row.auto_delete):
                self.lifecycle.destroy_by_itself(row)
            elif row.auto_delete != 0 and self._idle(row, row.auto_archive):
                self._archive(row)
            elif self.core.settings.backups:
                self._back_up(row)

    def _idle(self, row: Sandbox, minutes: int) -> bool:
        """Whether the interval is on and has passed since the last activity."""
        if minutes <= 0 or row.last_activity_at is None:
            return False
        return self.world.micros() - row.last_activity_at >= minutes * self.core.settings.minute * 1e6

    def _stop(self, row: Sandbox) -> None:
        if row.auto_delete == 0:
            self.lifecycle.destroy_by_itself(row)
            return
        self.core.log.add("daytona", "auto-stop", row.id, name=row.name)
        self.world.write(row, desired="stopped")
        self.host.begin(row, "stop")

    def _archive(self, row: Sandbox) -> None:
        """Leaves the raw state `stopped` until the host begins; GET shows `archiving`."""
        self.core.log.add("daytona", "auto-archive", row.id, name=row.name)
        self.world.write(row, desired="archived")
        self.host.begin(row, "archive")

    def _back_up(self, row: Sandbox) -> None:
        """A stopped sandbox is backed up step by step; its state does not change."""
        steps = {"None": "Pending", "Pending": "InProgress", "InProgress": "Completed"}
        after = steps.get(row.backup_state)
        if after == "Completed":
            now = self.world.micros()
            self.world.write(row, backup_state=after, backup_created_at=now)
        elif after:
            self.world.write(row, backup_state=after)
