"""Comparing Convex's rows with ours, and putting right what differs.

Convex is written, never believed, so this is for what happens behind our back: rows that vanish, that somebody
else writes, that are there twice. What differs is made due for a push; nothing is written to Convex here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from django.db.models import F, Q, QuerySet

from sandboxes import clock
from sandboxes.codes import Code, NoticeCode, Refused
from sandboxes.gateways.convex import ConvexError, ConvexGateway, Function, ListedRow, gateway
from sandboxes.models import Owner, Sandbox
from sandboxes.services import notices
from sandboxes.services.projection import is_on, outcome
from sandboxes.services.projection.values import Shown, wanted

CHUNK = 200
MOST_FINDINGS = 1000

Progress = Callable[[int, int | None], None]


class Kind(StrEnum):
    VANISHED = "vanished"
    STALE = "stale"
    LEFT_OVER = "left_over"
    DUPLICATE = "duplicate"
    FOREIGN_OWNER = "foreign_owner"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. `sandbox_id` is ours, "" for a row in Convex that we do not know."""

    kind: Kind
    daytona_id: str
    owner: str
    detail: str
    sandbox_id: str = ""


@dataclass
class Verified:
    """`checked`: sandboxes compared. `counts` are of all findings, `findings` the first of them.

    `error`: why it ended early, "" when it did not.
    """

    checked: int = 0
    counts: Counter[Kind] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    error: str = ""

    @property
    def is_clean(self) -> bool:
        return not self.counts and not self.error


def verify_owner(owner_id: str, *, repair: bool = True) -> Verified:
    """Compare one owner's rows. Raises Refused(NOT_CONFIGURED) without a Convex."""
    return _guarded(lambda verifier: verifier.owner(owner_id), repair=repair)


def verify_all(*, progress: Progress | None = None, repair: bool = True) -> Verified:
    """Compare every row; `progress` is told how many of how many (None: unknown) owners or rows are done.

    With our own functions this takes one call for 200 rows, with `listForReconcile` one per owner, else one or
    two per sandbox. Convex failing ends it early: `error` says why. Raises Refused(NOT_CONFIGURED).
    """
    return _guarded(lambda verifier: verifier.everything(progress or _nobody), repair=repair)


def _nobody(done: int, total: int | None) -> None:
    pass


def _guarded(work: Callable[[_Verifier], None], *, repair: bool) -> Verified:
    if not is_on():
        raise Refused(
            Code.NOT_CONFIGURED, "CONVEX_URL and CONVEX_DEPLOY_KEY are not set: there is nothing to verify."
        )
    found = Verified()
    try:
        convex = gateway()
        assert convex is not None
        work(_Verifier(convex, found, repair=repair))
    except ConvexError as error:
        outcome.tell(error)
        found.error = outcome.words_of(error)
    return found


class _Verifier:
    def __init__(self, convex: ConvexGateway, found: Verified, *, repair: bool) -> None:
        self.convex = convex
        self.found = found
        self.repair = repair
        self.own = convex.own_functions()

    # ways to ask

    def everything(self, progress: Progress) -> None:
        if self.own:
            self._pages(progress)
            return
        owners = Owner.objects.filter(sandboxes__daytona_id__isnull=False).distinct().order_by("pk")
        total = owners.count()
        for done, owner_id in enumerate(owners.values_list("pk", flat=True).iterator(CHUNK), start=1):
            self.owner(owner_id)
            progress(done, total)

    def owner(self, owner_id: str) -> None:
        started = clock.now()
        ours = Sandbox.objects.filter(owner_id=owner_id, daytona_id__isnull=False)
        if not self.own and self.convex.has(Function.LIST_FOR_RECONCILE):
            listed = self.convex.list_for_reconcile(owner_id)
            self._compare(ours, listed, started)
            self._name_unknown(listed)
            return
        for row in ours.iterator(CHUNK):
            self._compare([row], self._ask(row), started)

    def _ask(self, row: Sandbox) -> list[ListedRow]:
        """One row, by the functions for one: a list of at most one, with the status where it can be had."""
        daytona_id = row.daytona_id or ""
        if self.own and self.convex.has(Function.OWNER) is False:
            return []  # the list, which lacks it, is all there is to go by
        owner = self.convex.owner_of(daytona_id)
        if owner is None:
            return []
        shown = wanted(row)
        status = self.convex.status_of(daytona_id) if self.convex.has(Function.STATUS) else None
        return [ListedRow(daytona_id, status or (shown.status if shown else ""), owner=owner)]

    def _pages(self, progress: Progress) -> None:
        """Every row that Convex has, then those of ours that it has not."""
        started, seen = clock.now(), set[str]()
        for listed in self._list():
            ids = {row.daytona_id for row in listed}
            self._compare(Sandbox.objects.filter(daytona_id__in=ids), listed, started)
            self._name_unknown(listed)
            seen |= ids
            progress(len(seen), None)
        ours = Sandbox.objects.filter(_is_settled(started), daytona_id__isnull=False)
        for row in ours.iterator(CHUNK):
            if row.daytona_id not in seen:
                self._compare([row], self._ask(row), started)

    def _list(self) -> Iterator[Sequence[ListedRow]]:
        cursor: str | None = None
        while True:
            page = self.convex.list_all(cursor)
            yield page.rows
            if page.cursor is None:
                return
            cursor = page.cursor

    # comparing

    def _compare(
        self, ours: QuerySet[Sandbox] | list[Sandbox], listed: Iterable[ListedRow], started: datetime
    ) -> None:
        there: dict[str, list[ListedRow]] = defaultdict(list)
        for item in listed:
            there[item.daytona_id].append(item)
        for row in ours:
            if row.is_dirty or row.convex_lease_token or (row.convex_pushed_at or started) > started:
                continue  # a push is due or was under way: what was listed is no proof
            self.found.checked += 1
            finding = difference(row, there[row.daytona_id or ""])
            if finding is not None:
                self._handle(row, finding)

    def _handle(self, row: Sandbox, finding: Finding) -> None:
        self._note(finding)
        if finding.kind == Kind.FOREIGN_OWNER:
            notices.tell(NoticeCode.CONVEX_FOREIGN_OWNER, finding.detail)
        elif self.repair and (self.own or finding.kind != Kind.DUPLICATE):
            make_due(row, has_row=finding.kind != Kind.VANISHED)

    def _name_unknown(self, listed: Iterable[ListedRow]) -> None:
        items = {row.daytona_id: row for row in listed}
        known = set(Sandbox.objects.filter(daytona_id__in=items).values_list("daytona_id", flat=True))
        for daytona_id in items.keys() - known:
            owner = items[daytona_id].owner
            self._note(
                Finding(Kind.UNKNOWN, daytona_id, owner, f"Convex shows {daytona_id}, which is unknown here")
            )

    def _note(self, finding: Finding) -> None:
        self.found.counts[finding.kind] += 1
        if len(self.found.findings) < MOST_FINDINGS:
            self.found.findings.append(finding)


def difference(row: Sandbox, there: Sequence[ListedRow]) -> Finding | None:
    """What is wrong with Convex's rows of one sandbox. Pure."""
    shown = wanted(row)

    def finding(kind: Kind, detail: str) -> Finding:
        return Finding(kind, row.daytona_id or "", row.owner_id, detail, str(row.pk))

    if not there:
        return None if shown is None else finding(Kind.VANISHED, f"Convex has no row of “{row.name}”")
    foreign = next((item.owner for item in there if item.owner not in ("", row.owner_id)), None)
    if foreign is not None:
        words = f"Convex's row of {row.daytona_id} belongs to {foreign!r}, not to {row.owner_id!r}"
        return finding(Kind.FOREIGN_OWNER, words)
    if shown is None:
        return finding(Kind.LEFT_OVER, f"Convex still shows “{row.name}”, which is deleted")
    if len(there) > 1:
        words = f"Convex has {len(there)} rows of “{row.name}”; `sandkeeper:apply` makes one of them"
        return finding(Kind.DUPLICATE, words)
    stale = _what_differs(shown, there[0])
    return finding(Kind.STALE, f"Convex shows “{row.name}” with another {stale}") if stale else None


def _what_differs(shown: Shown, item: ListedRow) -> str:
    """Only our own `list` tells the name and the message."""
    words = []
    if item.status != shown.status:
        words.append(f"status ({item.status}, not {shown.status})")
    if item.name and item.name != shown.name:
        words.append("name")
    if item.name and item.error_message != shown.error:
        words.append("message")
    return ", ".join(words)


def make_due(row: Sandbox, *, has_row: bool) -> None:
    """Have everything sent again, unless the row was changed or pushed since it was read."""
    same = Sandbox.objects.filter(
        pk=row.pk, revision=row.revision, convex_revision=row.convex_revision, convex_lease_token=""
    )
    same.update(
        convex_revision=F("revision") - 1,
        convex_known=has_row,
        convex_sent={"row": True} if has_row else {},
        convex_next_push_at=clock.now(),
    )


def _is_settled(started: datetime) -> Q:
    """Pushed before the comparison began (or adopted, and never pushed), and not changed since."""
    before = Q(convex_pushed_at=None) | Q(convex_pushed_at__lte=started)
    return Q(revision=F("convex_revision")) & before
