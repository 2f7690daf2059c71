"""Start, stop, archive, delete and recover: preconditions in Daytona's order, then the change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.daytona import quota
from emulator.daytona.errors import Refusal, broken, busy, errored, failed_to_start, full_grown, raced
from emulator.daytona.sandbox import ERRORED, Sandbox
from emulator.daytona.usage import Amounts, bucket_of

if TYPE_CHECKING:
    from emulator.core import Core
    from emulator.daytona.host import Host
    from emulator.daytona.world import World
    from emulator.faults import Fault

COOLDOWN = "Sandbox recovery has been attempted recently. Please try again later"


class Lifecycle:
    """Each method answers with the Sandbox as Daytona shows it, or raises Refusal."""

    def __init__(self, core: Core, world: World, host: Host) -> None:
        self.core = core
        self.world = world
        self.host = host

    async def start(self, row: Sandbox) -> dict[str, Any]:
        if row.state == row.desired == "started":
            return self.world.present(row)
        _startable(row)
        quota.check_suspended(self.core)
        version, frozen = row.version, row.state == "archived"
        row.reservation = await self._reserve(row, version, disk=frozen)
        job = {"archived": "restore", "paused": "resume"}.get(row.state, "start")
        self._accept(row, "start", desired="started")
        self.host.begin(row, job)
        if frozen:
            return self.world.present(row, activity=False)
        return await self.settle(row)

    async def stop(self, row: Sandbox) -> dict[str, Any]:
        if row.state in ERRORED:
            raise errored()
        if row.state != row.desired:
            raise busy()
        if row.state not in ("started", "paused"):
            raise Refusal(400, "Sandbox is not in a stoppable state")
        await self._window(row, row.version)
        if row.auto_delete == 0:
            return self._destroy(row, "stop")
        self._accept(row, "stop", desired="stopped")
        self.host.begin(row, "stop")
        return self.world.present(row, activity=False)

    async def archive(self, row: Sandbox) -> dict[str, Any]:
        if row.state in ERRORED:
            raise errored()
        if row.state != row.desired:
            raise busy()
        if row.state != "stopped":
            raise Refusal(400, "Sandbox is not stopped")
        if row.auto_delete == 0:
            raise Refusal(400, "Ephemeral sandboxes cannot be archived")
        await self._window(row, row.version)
        self._accept(row, "archive", desired="archived", state="archiving")
        self.host.begin(row, "archive")
        return self.world.present(row)

    async def delete(self, row: Sandbox) -> dict[str, Any]:
        if row.pending and row.state != "pending_build":
            raise busy()
        await self._window(row, row.version)
        return self._destroy(row, "delete")

    async def pause(self, row: Sandbox) -> dict[str, Any]:
        """Refused for every class that the emulator has: only others can be paused."""
        if row.state != "started":
            raise Refusal(400, "Sandbox must be in started state to pause")
        if row.pending:
            raise busy()
        raise Refusal(422, "Pausing is not supported for this sandbox")

    async def recover(self, row: Sandbox, *, skip_start: bool) -> dict[str, Any]:
        self._recoverable(row)
        from_backup = (row.error_reason or "").startswith("Timeout") and row.backup_state == "Completed"
        if from_backup:
            return await self._recover_from_backup(row)
        if row.recoveries >= self.core.settings.recoveries:
            raise full_grown(row.disk)
        version = row.version
        reservation = None if skip_start else await self._reserve(row, version, disk=True)
        self.core.log.add("daytona", "recover", row.id, name=row.name, detail={"skipStart": skip_start})
        self.world.write(row, job="recover")
        row.reservation = reservation
        outcome = self.host.outcome(row, "recover")
        seconds = self.host.seconds(outcome)
        if skip_start and self.core.settings.recover_stale:
            self.core.clock.call_later(seconds, lambda: self._recovered(row, version, outcome))
            return self.world.present(row)
        await self.core.clock.sleep(seconds)
        if not self._recovered(row, version, outcome):
            raise broken()
        if skip_start:
            return self.world.present(row)
        self.world.write(row, desired="started")
        self.host.begin(row, "start")
        return await self.settle(row)

    async def settle(self, row: Sandbox) -> dict[str, Any]:
        """Hold the answer until the sandbox runs, at most `hold` seconds (recording 09_slow_start)."""
        deadline = self.core.clock.now() + self.core.settings.hold
        while row.state not in ("started", "error", "build_failed", "destroyed"):
            left = deadline - self.core.clock.now()
            if left <= 0:
                break
            await self.world.changed(row, seconds=left)
        if row.state in ERRORED:
            raise failed_to_start(row.error_reason)
        return self.world.present(row)

    def destroy_by_itself(self, row: Sandbox) -> None:
        self._destroy(row, "auto-delete")

    # inside

    def _accept(self, row: Sandbox, action: str, **changes: Any) -> None:
        self.core.log.add("daytona", action, row.id, name=row.name)
        self.world.write(row, error_reason=None, recoverable=False, **changes)

    def _destroy(self, row: Sandbox, action: str) -> dict[str, Any]:
        """The name is free at once: the row is renamed (recording 06_delete)."""
        self.core.log.add("daytona", action, row.id, name=row.name)
        renamed = f"DESTROYED_{row.name}_{self.world.micros() // 1000}"
        changes: dict[str, Any] = {"desired": "destroyed", "name": renamed, "backup_state": "None"}
        if row.state in ERRORED:
            row.turn += 1
            self.world.write(row, **changes)
        else:
            self.world.write(row, **changes)
            self.host.begin(row, "destroy")
        return self.world.present(row, activity=False)

    async def _window(self, row: Sandbox, version: int) -> None:
        """Between reading the row and writing it another call may win (recording 05_conflicts)."""
        await self.core.clock.sleep(self.core.settings.race)
        if row.version != version:
            raise raced()

    async def _reserve(self, row: Sandbox, version: int, *, disk: bool) -> int:
        amounts = Amounts(row.cpu, row.memory, row.gpu, row.disk if disk else 0)
        reservation = await quota.reserve(self.core, self.world.usage, bucket_of(row), amounts)
        try:
            await self._window(row, version)
        except BaseException:
            self.world.usage.release(reservation)
            raise
        return reservation

    def _recoverable(self, row: Sandbox) -> None:
        if not row.recoverable:
            raise Refusal(400, "Sandbox is not in a recoverable state")
        if row.job == "recover":
            raise busy()
        if row.state != "error":
            raise Refusal(400, "Sandbox must be in error state to recover")
        quota.check_suspended(self.core)

    def _recovered(self, row: Sandbox, version: int, outcome: Fault | None) -> bool:
        """Whether the host's part succeeds. A failure leaves the row in error as it was, recoverable."""
        if row.version != version or row.job != "recover":
            return False
        if outcome and outcome.error:
            self.world.usage.release(row.reservation)
            row.reservation = None
            self.world.write(row, job=None)
            return False
        self.host.recovered(row)
        return True

    async def _recover_from_backup(self, row: Sandbox) -> dict[str, Any]:
        now = self.world.micros()
        if row.recovered_at and now - row.recovered_at < self.core.settings.recover_cooldown * 1e6:
            raise Refusal(409, COOLDOWN)
        row.reservation = await self._reserve(row, row.version, disk=True)
        self.core.log.add("daytona", "recover", row.id, name=row.name, detail={"from": "backup"})
        changes = {"recovered_at": now, "error_reason": None, "recoverable": False, "runner_id": None}
        self.world.write(row, state="archived", desired="started", **changes)
        self.host.begin(row, "restore")
        return await self.settle(row)


def _startable(row: Sandbox) -> None:
    if row.state in ERRORED:
        raise errored()
    leaving_archive = row.desired == "archived" and row.state in ("stopped", "archiving")
    if row.state != row.desired and not leaving_archive:
        raise busy()
    if row.state not in ("stopped", "archived", "archiving", "paused"):
        raise Refusal(400, "Sandbox is not in valid state")
    if row.state == "paused" and row.sandbox_class not in ("linux-vm", "windows"):
        raise Refusal(422, "Resuming is not supported for this sandbox")
