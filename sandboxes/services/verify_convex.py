"""Comparing Convex's rows with ours, and putting right what differs.

Convex is written, never believed, so this is for what happens behind our back: rows that vanish, that somebody
else writes, that are there twice. What differs is made due for a push; nothing is written to Convex here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from django.db.models import Q

from sandboxes import clock
from sandboxes.core.codes import Code, NoticeCode, Refused
from sandboxes.core.shown import our_messages, wanted
from sandboxes.models import ConvexProjection, Owner, Sandbox
from sandboxes.providers.convex.gateway import ApplicationRow, ConvexError, ConvexGateway, Function, gateway
from sandboxes.services.convex_differences import Aspect, ConvexDifference, DifferenceKind, compared, difference
from sandboxes.services.projection import application_rows, circuit_breaker, is_on, push_result
from sandboxes.services.projection.pushing import look_at_functions
from sandboxes.services.rows import in_chunks
from sandboxes.services.shown_ids import ShownIds

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence
    from datetime import datetime

    from sandboxes.models.projection import ProjectionRows

CHUNK = 200
MOST_FINDINGS = 1000


@dataclass
class Verified:
    """`checked`: sandboxes compared. `counts` are of all findings, `findings` the first of them.

    `compared` counts the rows of which an aspect was compared, `unread` those of which no function tells it.
    `error`: why it ended early, "" when it did not.
    """

    checked: int = 0
    compared: Counter[Aspect] = field(default_factory=Counter)
    unread: Counter[Aspect] = field(default_factory=Counter)
    counts: Counter[DifferenceKind] = field(default_factory=Counter)
    findings: list[ConvexDifference] = field(default_factory=list)
    error: str = ""


def verify_owner(
    owner_id: str,
    *,
    repair: bool = True,
    beat: Callable[[], None] = lambda: None,
    expected: ShownIds | None = None,
) -> Verified:
    """Compare one owner's rows; else as `verify_all`."""
    return _guarded(lambda verifier: verifier.owner(owner_id), repair=repair, beat=beat, expected=expected)


def verify_all(
    *, repair: bool = True, beat: Callable[[], None] = lambda: None, expected: ShownIds | None = None
) -> Verified:
    """Compare every row. `beat` is called again and again, and may raise to end it there. Of the `expected` ids,
    which a dry run of an import would have made rows of, it is not said that they are unknown here.

    With our own functions this takes one call for 200 rows; without, one per owner where the key may act as a user
    or there is `listForReconcile`, else one or two per sandbox. Convex failing ends it early: `error` says why.
    Without `repair` nothing is written.

    Raises:
        Refused: NOT_CONFIGURED without a Convex.
    """
    return _guarded(lambda verifier: verifier.everything(), repair=repair, beat=beat, expected=expected)


def _guarded(
    work: Callable[[_Verifier], None], *, repair: bool, beat: Callable[[], None], expected: ShownIds | None
) -> Verified:
    if not is_on():
        raise Refused(
            Code.NOT_CONFIGURED, "CONVEX_URL and CONVEX_DEPLOY_KEY are not set: there is nothing to verify."
        )
    found = Verified()
    try:
        convex = gateway()
        assert convex is not None
        verifier = _Verifier(convex, found, repair=repair, beat=beat, expected=expected)
        work(verifier)
        verifier.close_notices()
    except ConvexError as error:
        if repair:
            push_result.tell(error)
        found.error = push_result.message_of(error)
    return found


class _Verifier:
    def __init__(
        self,
        convex: ConvexGateway,
        found: Verified,
        *,
        repair: bool,
        beat: Callable[[], None],
        expected: ShownIds | None,
    ) -> None:
        self.expected = expected
        self.convex = convex
        self.found = found
        self.repair = repair
        self.beat = beat
        self.own = look_at_functions(convex, circuit_breaker.read()) if repair else convex.own_functions()
        self.has_answered = False

    # ways to ask

    def everything(self) -> None:
        if self.own:
            self._pages(_rows())
            return
        for owner_id in Owner.objects.order_by("pk").values_list("pk", flat=True).iterator(CHUNK):
            self.beat()
            self._listed_or_asked(owner_id)

    def owner(self, owner_id: str) -> None:
        if self.own:
            self._pages(_rows().filter(sandbox__owner_id=owner_id), owner_id)
        else:
            self._listed_or_asked(owner_id)

    def _listed_or_asked(self, owner_id: str) -> None:
        started = clock.now()
        ours = _rows().filter(sandbox__owner_id=owner_id, sandbox__daytona_id__isnull=False)
        listed = self._listed(owner_id)
        for rows in in_chunks(ours, CHUNK):
            self._compare(rows, [*listed, *self._unlisted(rows, listed)], started)
        self._name_unknown(listed)

    def _listed(self, owner_id: str) -> list[ApplicationRow]:
        """An owner's rows, by a function that lists them. What it does not list may be there all the same."""
        listed = application_rows.rows_of(self.convex, owner_id)
        if not listed and self.convex.has(Function.LIST_FOR_RECONCILE):
            listed = [replace(item, owner=owner_id) for item in self.convex.list_for_reconcile(owner_id)]
        self.has_answered = self.has_answered or listed is not None
        return listed or []

    def _unlisted(
        self, rows: Sequence[ConvexProjection], listed: Sequence[ApplicationRow]
    ) -> Iterator[ApplicationRow]:
        """Those that shall be there, or were asked for by no list: by the functions for one."""
        ids = {item.daytona_id for item in listed}
        for row in rows:
            daytona_id = row.sandbox.daytona_id or ""
            if daytona_id in ids or (listed and wanted(row) is None):
                continue
            self.beat()
            owner = self.convex.owner_of(daytona_id)
            self.has_answered = True
            if owner is not None:
                has_status = self.convex.has(Function.STATUS)
                status = self.convex.status_of(daytona_id) if has_status else None
                yield ApplicationRow(daytona_id, status or "", owner=owner)

    def _pages(self, ours: ProjectionRows, owner: str = "") -> None:
        """Every row that Convex has, then those of ours that it has not. Of others than `owner` nothing is said."""
        started = clock.now()
        with ShownIds() as shown:
            for listed in self._list():
                self.beat()
                ids = list({row.daytona_id for row in listed})
                fresh = shown.lacks(ids)
                self._compare(
                    ours.filter(sandbox__daytona_id__in=ids), listed, started, listed_before=set(ids) - fresh
                )
                theirs = [row for row in listed if owner in ("", row.owner)]
                self._name_unknown(row for row in theirs if row.daytona_id in fresh)
                shown.add(ids)
            settled = ours.level().filter(_was_pushed_before(started), sandbox__daytona_id__isnull=False)
            for rows in in_chunks(settled, CHUNK):
                self.beat()
                unlisted = shown.lacks([row.sandbox.daytona_id or "" for row in rows])
                self._compare((row for row in rows if row.sandbox.daytona_id in unlisted), [], started)

    def _list(self) -> Iterator[Sequence[ApplicationRow]]:
        cursor: str | None = None
        while True:
            page = self.convex.list_all(cursor)
            self.has_answered = True
            yield page.rows
            if page.cursor is None:
                return
            cursor = page.cursor

    # comparing

    def _compare(
        self,
        ours: Iterable[ConvexProjection],
        listed: Iterable[ApplicationRow],
        started: datetime,
        *,
        listed_before: Container[str] = (),
    ) -> None:
        """`listed_before`: the ids that an earlier page of the same list has shown."""
        there: dict[str, list[ApplicationRow]] = defaultdict(list)
        for item in listed:
            there[item.daytona_id].append(item)
        for row in ours:
            daytona_id = row.sandbox.daytona_id or ""
            is_twin = daytona_id in listed_before
            finding = difference(row, there[daytona_id], is_twin=is_twin)
            is_foreign = finding is not None and finding.kind == DifferenceKind.FOREIGN_OWNER
            if _is_moving(row, started) and not is_foreign:  # no push of ours changes whose a row is
                continue
            self.found.checked += not is_twin
            self._count(row.sandbox, there[daytona_id])
            if finding is not None:
                self._handle(row, finding, there[daytona_id])

    def _count(self, row: Sandbox, there: Sequence[ApplicationRow]) -> None:
        for aspect, was_compared in compared(row, there).items():
            (self.found.compared if was_compared else self.found.unread)[aspect] += 1

    def _handle(self, row: ConvexProjection, finding: ConvexDifference, there: Sequence[ApplicationRow]) -> None:
        self._note(finding)
        if not self.repair:
            return
        if finding.kind == DifferenceKind.FOREIGN_OWNER:
            # The push does not overwrite it: it says so for as long as that is so.
            error = push_result.ForeignOwner(finding.detail)
            push_result.tell(error)
            _make_due(row, row.sent, error=push_result.message_of(error))
        elif finding.kind != DifferenceKind.RENAMED and (self.own or finding.kind != DifferenceKind.DUPLICATE):
            _make_due(row, _known(row, there))

    def close_notices(self) -> None:
        """Convex answered to the end. That a key may read does not prove that it may write."""
        if not self.repair or not self.has_answered:
            return
        may_write = circuit_breaker.read().reason != NoticeCode.CONVEX_UNAUTHORIZED
        if may_write or self.convex.may_run("mutation", own=self.own):
            push_result.record_success(had_errors=True)

    def _name_unknown(self, listed: Iterable[ApplicationRow]) -> None:
        items = {row.daytona_id: row for row in listed}
        known = set(Sandbox.objects.filter(daytona_id__in=items).values_list("daytona_id", flat=True))
        unknown = items.keys() - known
        for daytona_id in unknown if self.expected is None else self.expected.lacks(sorted(unknown)):
            owner = items[daytona_id].owner
            self._note(
                ConvexDifference(
                    DifferenceKind.UNKNOWN, daytona_id, owner, f"Convex shows {daytona_id}, which is unknown here"
                )
            )

    def _note(self, finding: ConvexDifference) -> None:
        self.found.counts[finding.kind] += 1
        if len(self.found.findings) < MOST_FINDINGS:
            self.found.findings.append(finding)


def _rows() -> ProjectionRows:
    rows: ProjectionRows = ConvexProjection.objects.select_related("sandbox")
    return rows


def _known(row: ConvexProjection, there: Sequence[ApplicationRow]) -> dict[str, Any]:
    """What Convex is known to have of it, now that it was read: what is not so is sent again."""
    if not there:
        return dict(row.sent)
    known = {key: value for key, value in row.sent.items() if key != "status"} | {"row": True}
    message = there[0].message
    if message is not None:
        known["error"] = message if message in our_messages(row.sandbox, row.sent) else ""
    return known


def _make_due(row: ConvexProjection, known: dict[str, Any], *, error: str = "") -> None:
    """Have what Convex is not known to have sent, unless the row was changed or pushed since it was read."""
    same = ConvexProjection.objects.filter(
        pk=row.pk,
        wanted_generation=row.wanted_generation,
        pushed_generation=row.pushed_generation,
        lease_token="",
    )
    same.make_due(known="row" in known, sent=known, error=error or row.error)


def _is_moving(row: ConvexProjection, started: datetime) -> bool:
    """A push is due or was under way: what was listed is no proof."""
    lacks = row.error.startswith(f"{push_result.LACKS}:")  # all that could be sent, was
    return bool((row.is_behind and not lacks) or row.lease_token or (row.pushed_at or started) > started)


def _was_pushed_before(started: datetime) -> Q:
    """Before the comparison began; or adopted, and never pushed."""
    return Q(pushed_at=None) | Q(pushed_at__lte=started)
