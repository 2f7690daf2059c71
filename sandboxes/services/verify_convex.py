"""Comparing Convex's rows with ours, and putting right what differs.

Convex is written, never believed, so this is for what happens behind our back: rows that vanish, that somebody
else writes, that are there twice. What differs is made due for a push; nothing is written to Convex here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from django.db.models import F, Q, QuerySet

from sandboxes import clock
from sandboxes.codes import Code, NoticeCode, Refused
from sandboxes.gateways.convex import ApplicationRow, ConvexError, ConvexGateway, Function, gateway
from sandboxes.models import Owner, Sandbox
from sandboxes.services.projection import is_on, outcome, rest
from sandboxes.services.projection.pushing import look_at_functions
from sandboxes.services.projection.values import Shown, wanted
from sandboxes.services.rows import in_chunks
from sandboxes.services.shown_ids import ShownIds

CHUNK = 200
MOST_FINDINGS = 1000


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


def verify_owner(owner_id: str, *, repair: bool = True, beat: Callable[[], None] = lambda: None) -> Verified:
    """Compare one owner's rows; else as `verify_all`."""
    return _guarded(lambda verifier: verifier.owner(owner_id), repair=repair, beat=beat)


def verify_all(*, repair: bool = True, beat: Callable[[], None] = lambda: None) -> Verified:
    """Compare every row. `beat` is called again and again, and may raise to end it there.

    With our own functions this takes one call for 200 rows, with `listForReconcile` one per owner, else one or
    two per sandbox. Convex failing ends it early: `error` says why. Without `repair` nothing is written.

    Raises:
        Refused: NOT_CONFIGURED without a Convex.
    """
    return _guarded(lambda verifier: verifier.everything(), repair=repair, beat=beat)


def _guarded(work: Callable[[_Verifier], None], *, repair: bool, beat: Callable[[], None]) -> Verified:
    if not is_on():
        raise Refused(
            Code.NOT_CONFIGURED, "CONVEX_URL and CONVEX_DEPLOY_KEY are not set: there is nothing to verify."
        )
    found = Verified()
    try:
        convex = gateway()
        assert convex is not None
        verifier = _Verifier(convex, found, repair=repair, beat=beat)
        work(verifier)
        verifier.close_notices()
    except ConvexError as error:
        if repair:
            outcome.tell(error)
        found.error = outcome.words_of(error)
    return found


class _Verifier:
    def __init__(self, convex: ConvexGateway, found: Verified, *, repair: bool, beat: Callable[[], None]) -> None:
        self.convex = convex
        self.found = found
        self.repair = repair
        self.beat = beat
        self.own = look_at_functions(convex, rest.look()) if repair else convex.own_functions()
        self.has_answered = False

    # ways to ask

    def everything(self) -> None:
        if self.own:
            self._pages(Sandbox.objects.all())
            return
        for owner_id in Owner.objects.order_by("pk").values_list("pk", flat=True).iterator(CHUNK):
            self.beat()
            self._listed_or_asked(owner_id)

    def owner(self, owner_id: str) -> None:
        if self.own:
            self._pages(Sandbox.objects.filter(owner_id=owner_id), owner_id)
        else:
            self._listed_or_asked(owner_id)

    def _listed_or_asked(self, owner_id: str) -> None:
        started = clock.now()
        ours = Sandbox.objects.filter(owner_id=owner_id, daytona_id__isnull=False)
        if self.convex.has(Function.LIST_FOR_RECONCILE):
            listed = self.convex.list_for_reconcile(owner_id)
            self.has_answered = True
            self._compare(ours.iterator(CHUNK), listed, started)
            self._name_unknown(listed)
            return
        for row in ours.iterator(CHUNK):
            self.beat()
            self._compare([row], self._ask(row), started)

    def _ask(self, row: Sandbox) -> list[ApplicationRow]:
        """One row, by the functions for one: a list of at most one, with the status where it can be had."""
        daytona_id = row.daytona_id or ""
        owner = self.convex.owner_of(daytona_id)
        self.has_answered = True
        if owner is None:
            return []
        shown = wanted(row)
        status = self.convex.status_of(daytona_id) if self.convex.has(Function.STATUS) else None
        return [ApplicationRow(daytona_id, status or (shown.status if shown else ""), owner=owner)]

    def _pages(self, ours: QuerySet[Sandbox], owner: str = "") -> None:
        """Every row that Convex has, then those of ours that it has not. Of others than `owner` nothing is said."""
        started = clock.now()
        with ShownIds() as shown:
            for listed in self._list():
                self.beat()
                ids = list({row.daytona_id for row in listed})
                fresh = shown.lacks(ids)
                self._compare(ours.filter(daytona_id__in=ids), listed, started, listed_before=set(ids) - fresh)
                theirs = [row for row in listed if owner in ("", row.owner)]
                self._name_unknown(row for row in theirs if row.daytona_id in fresh)
                shown.add(ids)
            for rows in in_chunks(ours.filter(_is_settled(started), daytona_id__isnull=False), CHUNK):
                self.beat()
                unlisted = shown.lacks([row.daytona_id or "" for row in rows])
                self._compare((row for row in rows if row.daytona_id in unlisted), [], started)

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
        ours: Iterable[Sandbox],
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
            is_twin = row.daytona_id in listed_before
            finding = difference(row, there[row.daytona_id or ""], is_twin=is_twin)
            is_foreign = finding is not None and finding.kind == Kind.FOREIGN_OWNER
            if _is_moving(row, started) and not is_foreign:  # no push of ours changes whose a row is
                continue
            self.found.checked += not is_twin
            if finding is not None:
                self._handle(row, finding)

    def _handle(self, row: Sandbox, finding: Finding) -> None:
        self._note(finding)
        if not self.repair:
            return
        if finding.kind == Kind.FOREIGN_OWNER:
            # The push does not overwrite it: it says so for as long as that is so.
            error = outcome.ForeignOwner(finding.detail)
            outcome.tell(error)
            make_due(row, has_row=False, error=outcome.words_of(error))
        elif self.own or finding.kind != Kind.DUPLICATE:
            make_due(row, has_row=finding.kind != Kind.VANISHED)

    def close_notices(self) -> None:
        """Convex answered to the end. That a key may read does not prove that it may write."""
        if not self.repair or not self.has_answered:
            return
        may_write = rest.look().reason != NoticeCode.CONVEX_UNAUTHORIZED
        if may_write or self.convex.may_run("mutation", own=self.own):
            outcome.well(had_errors=True)

    def _name_unknown(self, listed: Iterable[ApplicationRow]) -> None:
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


def difference(row: Sandbox, there: Sequence[ApplicationRow], *, is_twin: bool = False) -> Finding | None:
    """What is wrong with Convex's rows of one sandbox; `is_twin`: it has one more of it. Pure."""
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
    if len(there) + is_twin > 1:
        words = f"Convex has {len(there) + is_twin} rows of “{row.name}”; `sandkeeper:apply` makes one of them"
        return finding(Kind.DUPLICATE, words)
    stale = _what_differs(shown, there[0])
    return finding(Kind.STALE, f"Convex shows “{row.name}” with another {stale}") if stale else None


def _what_differs(shown: Shown, item: ApplicationRow) -> str:
    """Only our own `list` tells the name and the message."""
    words = []
    if item.status != shown.status:
        words.append(f"status ({item.status}, not {shown.status})")
    if item.name is not None and shown.name and item.name != shown.name:
        words.append("name")
    if item.message is not None and item.message != shown.error:
        words.append("message")
    return ", ".join(words)


def make_due(row: Sandbox, *, has_row: bool, error: str = "") -> None:
    """Have everything sent again, unless the row was changed or pushed since it was read."""
    now = clock.now()
    same = Sandbox.objects.filter(
        pk=row.pk, revision=row.revision, convex_revision=row.convex_revision, convex_lease_token=""
    )
    same.update(
        convex_revision=F("revision") - 1,
        dirty_since=row.dirty_since or now,
        convex_known=has_row,
        convex_sent={"row": True} if has_row else {},
        convex_error=error or F("convex_error"),
        convex_next_push_at=now,
    )


def _is_moving(row: Sandbox, started: datetime) -> bool:
    """A push is due or was under way: what was listed is no proof."""
    return bool(row.is_dirty or row.convex_lease_token or (row.convex_pushed_at or started) > started)


def _is_settled(started: datetime) -> Q:
    """Pushed before the comparison began (or adopted, and never pushed), and not changed since."""
    before = Q(convex_pushed_at=None) | Q(convex_pushed_at__lte=started)
    return Q(revision=F("convex_revision")) & before
