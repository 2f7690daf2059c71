"""A push by the functions the application publishes: one call for each value that is to be sent.

They take no generation, so order is all there is: one pusher at a time, and after a call that got lost the values
are sent once more, and read back, when that call must have ended. They look at no owner either, so it is asked
whose the row is before anything is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxes import clock
from sandboxes.core.codes import Code
from sandboxes.core.shown import Absent, Push, as_known, our_messages, to_push, wanted
from sandboxes.core.vocabulary import Status
from sandboxes.models import ConvexProjection
from sandboxes.providers.convex.gateway import (
    ApplicationRow,
    ConvexApplicationError,
    ConvexError,
    ConvexGateway,
    Function,
    FunctionMissing,
)
from sandboxes.services.projection import application_rows, lease, push_result
from sandboxes.services.projection.creating import create_row
from sandboxes.services.projection.push_result import NotYet, PushReport

if TYPE_CHECKING:
    from uuid import UUID

    from sandboxes.models.projection import ProjectionRows

# The functions look at the first row of an id only: a row written twice takes two removals.
MOST_REMOVALS = 6


def push(convex: ConvexGateway, sandbox_id: UUID, token: str) -> bool:
    """Bring Convex's row of one sandbox in line. False: nothing to do, or another pusher is at it."""
    held = lease.claim([sandbox_id], token)
    if not held.rows:
        return False
    report = push_result.report_of(held, held.rows[0])
    try:
        _push(convex, held, report)
    except lease.Lost:
        return False
    return True


def _push(convex: ConvexGateway, held: lease.HeldRows, report: PushReport) -> None:
    try:
        _OneRow(convex, held, report).bring_in_line()
    except ConvexError as error:
        if error.ambiguous:
            report.lost(lease.resend_at(clock.now()))
        if _is_limit(error):
            push_result.record_no_room(held, report, error)
        else:
            push_result.record_failure(held, [report], error)
    except (push_result.ForeignOwner, NotYet) as error:
        push_result.record_failure(held, [report], error)
    else:
        if report.is_resend:
            report.settled()
        if not push_result.record_pushed(held, [report]):
            raise lease.Lost


def _is_limit(error: Exception) -> bool:
    return isinstance(error, ConvexApplicationError) and error.application_code == Code.SANDBOX_LIMIT_REACHED


class _OneRow:
    """One push. What it learns goes into the report at once, so that a failure half way keeps it."""

    def __init__(self, convex: ConvexGateway, held: lease.HeldRows, report: PushReport) -> None:
        self.convex = convex
        self.held = held
        self.report = report
        self.row = report.row
        self.sandbox = report.sandbox
        self.id = report.sandbox.daytona_id or ""

    def bring_in_line(self) -> None:
        push = to_push(self.row, self.report.sent)
        if push is None:
            self._remove()
            return
        seen = self._look()
        if seen is not None:
            self._update(seen)
        elif push.absent == Absent.LEAVE and not self.report.may_be_our_removal:
            self.report.leave_removed()
            return
        else:
            self._create(push)
        if self.report.is_resend:
            self._read_back(push)

    def _look(self) -> ApplicationRow | None:
        """Convex's row; None: there is none. Raises ForeignOwner."""
        lease.renew(self.held)
        return application_rows.look(self.convex, self.sandbox, is_expected=self.report.has_row)

    # an existing row

    def _update(self, seen: ApplicationRow) -> None:
        self._take_note(seen)
        push = to_push(self.row, self.report.to_send)
        assert push is not None, "it is there to be shown"
        if push.status is not None or push.error is not None:
            self._send_status(push, seen)
        if push.name is not None:
            self._send_name(push.name)

    def _take_note(self, seen: ApplicationRow) -> None:
        """Convex has a row of ours: what is not known of it, and can be read there, is known now."""
        self.report.found()
        known = self.report.sent
        if seen.name is not None and seen.name == self.sandbox.name:
            known.setdefault("name", seen.name)
        if seen.message is not None and "error" not in known:
            known["error"] = seen.message if seen.message in our_messages(self.sandbox, known) else ""

    def _send_status(self, push: Push, seen: ApplicationRow | None) -> None:
        # Until it succeeds nobody knows what Convex shows, so nothing counts as sent.
        is_known = self.report.sent.pop("error", None) is not None
        self.report.sent.pop("status", None)
        self.report.about_to("status")
        lease.renew(self.held)
        self.convex.update_status(self.id, status=push.shown.status, error_message=_message(push, seen))
        self.report.sent["status"] = push.shown.status
        if push.error is not None or is_known:
            self.report.sent["error"] = push.shown.error
        self.report.did.append(f"shows {push.shown.status}" + (" with a message" if push.shown.error else ""))

    def _send_name(self, name: str) -> None:
        if self.convex.has(Function.UPDATE_NAME) is False:
            raise FunctionMissing(Function.UPDATE_NAME)
        lease.renew(self.held)
        self.report.about_to("name")
        before = self.report.sent.get("name")
        try:
            self.convex.update_name(self.id, name=name)
        except ConvexError as error:
            if error.ambiguous:
                self.report.sent.pop("name", None)
            raise
        self.report.sent["name"] = name
        if before != name:
            self.report.did.append(f"shows the name {name}")

    # no row

    def _create(self, push: Push) -> None:
        if self.report.known and self.report.is_in_doubt:
            raise NotYet("whether the call that creates the row was carried out is not known yet")
        self._make_room()
        self.report.about_to("create")
        try:
            lease.renew(self.held)
            self.report.known = True
            create_row(self.convex, self.report, push)
        except ConvexError as error:
            self.report.known = error.ambiguous and not _has_ended(error)
            if not _is_limit(error):
                raise
            self._create_where_it_is_full(push, error)
            return
        self.report.sent = as_known(push.shown, {}) | self.report.late_calls | {"error": ""}
        self.report.did.append(f"row created, shows {push.shown.status}")
        if push.shown.error:
            self._send_status(push, None)

    def _create_where_it_is_full(self, push: Push, error: ConvexError) -> None:
        """Convex has no room for it. The row may be there all the same, by a call that got lost."""
        seen = self._look()
        if seen is not None:
            self._update(seen)
        elif self._withdraw_one():
            self._create(push)
        else:
            raise error

    def _make_room(self) -> None:
        """Convex counts an owner's rows: those that are to go, go first."""
        gone = self._gone().filter(known=True)
        ids = [row.pk for row in gone.behind().select_related("sandbox") if wanted(row) is None]
        for sandbox_id in ids:
            lease.renew(self.held)
            push(self.convex, sandbox_id, self.held.token)
        if gone.behind().filter(pk__in=ids).exclude(lease_token="").exists():
            raise NotYet("the removal of another sandbox of its owner is under way")

    def _withdraw_one(self) -> bool:
        """Full: what is gone gives way, the oldest first; what is itself gone gives way to the others."""
        gone = self._gone().filter(withdrawn=False)
        if self.sandbox.status == Status.GONE:
            gone.filter(pk=self.row.pk).withdraw()
            return False
        oldest = gone.filter(known=True).order_by("sandbox__deleted_at", "pk").first()
        return oldest is not None and gone.filter(pk=oldest.pk).withdraw() == 1

    def _gone(self) -> ProjectionRows:
        """Those of the owner's sandboxes that are gone."""
        owners: ProjectionRows = ConvexProjection.objects.filter(sandbox__owner_id=self.sandbox.owner_id)
        return owners.filter(sandbox__status=Status.GONE)

    # no row wanted

    def _remove(self) -> None:
        if not self._is_there():
            self.report.forget()
            return
        self.report.about_to("remove")
        lease.note(self.held, self.row, sent=self.report.without_row, known=True)
        self.report.sent = self.report.without_row
        for _ in range(MOST_REMOVALS):
            lease.renew(self.held)
            self.convex.remove(self.id)
            if not self._is_there():
                self.report.did.append("row removed")
                self.report.forget()
                return
        raise NotYet(f"Convex still has a row after {MOST_REMOVALS} removals")

    def _is_there(self) -> bool:
        lease.renew(self.held)
        return application_rows.is_there(self.convex, self.sandbox)

    # after a lost call

    def _read_back(self, push: Push) -> None:
        seen = self._look()
        if seen is None:
            self.report.sent = self.report.without_row
            raise NotYet("Convex's row has vanished; it is created again")
        status = seen.status or application_rows.status(self.convex, self.sandbox)
        if status not in (None, push.shown.status):
            raise NotYet(f"Convex shows {status}, though {push.shown.status} was sent")


def _message(push: Push, seen: ApplicationRow | None) -> str | None:
    """Ours; "" to take ours back; else what stands there, because two of the sets clear what they are not given."""
    if push.shown.error or push.error is not None:
        return push.shown.error
    return (seen and seen.message) or None


def _has_ended(error: ConvexError) -> bool:
    """An error that Convex itself answered: whatever it did is done, so nothing commits later."""
    return error.status == 500 and error.detail != ""
