"""A push by the functions the application publishes: one call for each value that differs.

They take no revision, so order is all there is: one pusher at a time, and after a call that got lost the values
are sent once more, and read back, when that call must have ended.
"""

from __future__ import annotations

from uuid import UUID

from sandboxes import clock
from sandboxes.codes import Code
from sandboxes.gateways.convex import (
    ConvexApplicationError,
    ConvexError,
    ConvexGateway,
    ConvexRejected,
    Function,
    FunctionMissing,
)
from sandboxes.models import Sandbox
from sandboxes.services.projection import lease, outcome
from sandboxes.services.projection.outcome import NotYet, Report
from sandboxes.services.projection.values import Shown, is_to_be_removed, row_of, wanted
from sandboxes.services.projection.withdraw import withdraw
from sandboxes.states import Status

# The functions look at the first row of an id only: a row written twice takes two removals.
MOST_REMOVALS = 6


def push(convex: ConvexGateway, sandbox_id: UUID) -> bool:
    """Bring Convex's row of one sandbox in line. False: nothing to do, or another pusher is at it."""
    held = lease.claim([sandbox_id])
    if not held.rows:
        return False
    report = outcome.report_of(held, held.rows[0])
    try:
        _push(convex, held, report)
    except lease.Lost:
        return False
    return True


def _push(convex: ConvexGateway, held: lease.Held, report: Report) -> None:
    try:
        _OneRow(convex, held, report).bring_in_line()
    except ConvexError as error:
        if error.ambiguous:
            report.again = lease.again_at(clock.now())
        if _is_limit(error):
            outcome.no_room(held, report, error)
        else:
            outcome.failed(held, [report], error)
    except (outcome.ForeignOwner, NotYet) as error:
        outcome.failed(held, [report], error)
    else:
        if report.is_again:
            report.again = None
        if not outcome.pushed(held, [report]):
            raise lease.Lost


def _is_limit(error: Exception) -> bool:
    return isinstance(error, ConvexApplicationError) and error.application_code == Code.SANDBOX_LIMIT_REACHED


class _OneRow:
    """One push. What it learns goes into the report at once, so that a failure half way keeps it."""

    def __init__(self, convex: ConvexGateway, held: lease.Held, report: Report) -> None:
        self.convex = convex
        self.held = held
        self.report = report
        self.row = report.row
        self.id = report.row.daytona_id or ""

    def bring_in_line(self) -> None:
        shown = wanted(self.row)
        if shown is None:
            self._remove()
            return
        if self.report.has_row or self._adopt():
            self._update(shown)
        else:
            self._create(shown)
        if self.report.is_again:
            self._read_back(shown)

    # an existing row

    def _update(self, shown: Shown) -> None:
        sent = self.report.sent
        before = (sent.get("status"), sent.get("error"))
        if self.report.is_again or before != (shown.status, shown.error):
            self._send_status(shown)
        if self.report.is_again or sent.get("name") != shown.name:
            self._send_name(shown)

    def _send_status(self, shown: Shown) -> None:
        # Until it succeeds nobody knows what Convex shows, so nothing counts as sent.
        self.report.sent.pop("status", None)
        self.report.sent.pop("error", None)
        lease.keep(self.held)
        self.convex.update_status(self.id, status=shown.status, error_message=shown.error)
        self.report.sent |= {"status": shown.status, "error": shown.error}
        self.report.did.append(f"shows {shown.status}" + (" with a message" if shown.error else ""))

    def _send_name(self, shown: Shown) -> None:
        before = self.report.sent.get("name", shown.name)
        try:
            if self.convex.has(Function.UPDATE_NAME) is False:
                raise FunctionMissing(Function.UPDATE_NAME)
            lease.keep(self.held)
            self.report.sent.pop("name", None)
            self.convex.update_name(self.id, name=shown.name)
        except FunctionMissing as error:
            # Without it a new name cannot be shown, which is no reason to push again and again.
            self.report.sent["name"] = before
            if before != shown.name:
                self.report.lacks = outcome.words_of(error)
            return
        self.report.sent["name"] = shown.name
        if before != shown.name:
            self.report.did.append(f"shows the name {shown.name}")

    # no row that we know of

    def _adopt(self) -> bool:
        """Whether Convex has a row of ours already, perhaps by a call that got lost. Raises ForeignOwner."""
        if not self._is_there():
            return False
        self.report.sent = {"row": True}
        self.report.known = True
        return True

    def _is_there(self) -> bool:
        lease.keep(self.held)
        owner = self.convex.owner_of(self.id)
        if owner not in (None, self.row.owner_id):
            raise outcome.foreign(self.row, str(owner))
        return owner is not None

    def _create(self, shown: Shown) -> None:
        if self.report.known and self.report.is_unsettled:
            raise NotYet("whether the call that creates the row was carried out is not known yet")
        self._make_room()
        try:
            self._create_row(shown)
        except ConvexError as error:
            self.report.known = error.ambiguous and not _has_ended(error)
            if not _is_limit(error):
                raise
            # The row may be there all the same, by a call that got lost.
            if self._adopt():
                self._update(shown)
                return
            if not self._withdraw_one():
                raise
            self._create(shown)
            return
        self.report.sent = Shown(shown.status, "", shown.name).as_sent()
        self.report.did.append(f"row created, shows {shown.status}")
        if shown.error:
            self._send_status(shown)

    def _create_row(self, shown: Shown) -> None:
        lease.keep(self.held)
        self.report.known = True
        try:
            self.convex.create_row(self.id, owner=self.row.owner_id, row=row_of(self.row, shown))
        except ConvexApplicationError:
            raise
        except ConvexRejected:
            if not self.row.harness_id:
                raise
            # Most likely that harness does not exist (any more): the row is worth more than its link.
            plain = row_of(self.row, shown, with_harness=False)
            self.convex.create_row(self.id, owner=self.row.owner_id, row=plain)
            self.report.did.append(f"harness {self.row.harness_id} not linked")

    def _make_room(self) -> None:
        """Convex counts an owner's rows: those that are to go, go first."""
        gone = Sandbox.objects.filter(
            Sandbox.dirty(), owner_id=self.row.owner_id, status=Status.GONE, convex_known=True
        )
        ids = [row.pk for row in gone if is_to_be_removed(row)]
        for sandbox_id in ids:
            lease.keep(self.held)
            push(self.convex, sandbox_id)
        if gone.filter(pk__in=ids).exclude(convex_lease_token="").exists():
            raise NotYet("the removal of another sandbox of its owner is under way")

    def _withdraw_one(self) -> bool:
        """Full: what is gone gives way, the oldest first; what is itself gone gives way to the others."""
        gone = Sandbox.objects.filter(owner_id=self.row.owner_id, status=Status.GONE, convex_withdrawn=False)
        if self.row.status == Status.GONE:
            withdraw(gone.filter(pk=self.row.pk))
            return False
        oldest = gone.filter(convex_known=True).order_by("deleted_at", "pk").first()
        return oldest is not None and withdraw(gone.filter(pk=oldest.pk)) == 1

    # no row wanted

    def _remove(self) -> None:
        if not self.report.has_row and not self._is_there():
            self._forget()
            return
        for _ in range(MOST_REMOVALS):
            lease.keep(self.held)
            self.convex.remove(self.id)
            if not self._is_there():
                self.report.did.append("row removed")
                self._forget()
                return
        raise NotYet(f"Convex still has a row after {MOST_REMOVALS} removals")

    def _forget(self) -> None:
        self.report.sent, self.report.known = {}, False

    # after a lost call

    def _read_back(self, shown: Shown) -> None:
        if not self._is_there():
            self._forget()
            raise NotYet("Convex's row has vanished; it is created again")
        status = self._status()
        if status not in (None, shown.status):
            raise NotYet(f"Convex shows {status}, though {shown.status} was sent")

    def _status(self) -> str | None:
        """What Convex shows, where a function tells it."""
        lease.keep(self.held)
        if self.convex.has(Function.LIST_FOR_RECONCILE):
            rows = self.convex.list_for_reconcile(self.row.owner_id)
            return next((row.status for row in rows if row.daytona_id == self.id), None)
        return self.convex.status_of(self.id) if self.convex.has(Function.STATUS) else None


def _has_ended(error: ConvexError) -> bool:
    """An error that Convex itself answered: whatever it did is done, so nothing commits later."""
    return error.status == 500 and error.detail != ""
