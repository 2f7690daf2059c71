"""What a sweep does when the list has been read: broken intents, Convex, notices, retention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxes import clock
from sandboxes.core.codes import NoticeCode, Refused
from sandboxes.services import (
    notices,
    orphans,
    projection,
    prune,
    schedules,
    usage_roll_up,
    verifications,
    verify_convex,
)
from sandboxes.services.reconcile import intents
from sandboxes.services.reconcile.result import FindingKind, SweepFinding

if TYPE_CHECKING:
    from sandboxes.services.convex_differences import ConvexDifference
    from sandboxes.services.reconcile.run import Run

DAY = 86_400.0


def steps(run: Run) -> None:
    """Those that need no answer of Daytona are made after a partial list, too."""
    intents.review(run)
    if run.options.verify_convex:
        _verify(run)
    if run.options.dry_run:
        return
    if projection.is_on() and not (run.options.verify_convex or run.options.owner):
        verifications.when_due(lambda: _verify(run))
    if not run.reasons:
        _close_notices(run)
    if not run.options.owner:
        usage_roll_up.when_due(run.beat)
    _prune_daily(run)


def _verify(run: Run) -> bool:
    """Compare Convex's rows with ours; what differs is made due for a push. Returns whether it came to the end."""
    owner, repair = run.options.owner, not run.options.dry_run
    try:
        if owner:
            found = verify_convex.verify_owner(owner, repair=repair, beat=run.beat, expected=run.would_adopt)
        else:
            found = verify_convex.verify_all(repair=repair, beat=run.beat, expected=run.would_adopt)
    except Refused as error:
        run.partial(error.detail)
        return False
    if found.error:
        run.partial(f"Convex was not compared to the end: {found.error}")
    run.report.count("convex_checked", found.checked)
    for kind, count in found.counts.items():
        run.report.count(f"convex_{kind}", count)
    for aspect, count in found.compared.items():
        run.report.count(f"convex_compared_{aspect}", count)
    for aspect, count in found.unread.items():
        run.report.count(f"convex_cannot_be_read_here_{aspect}", count)
    run.report.add(*[_from_convex(one) for one in found.findings])
    run.report.counts[FindingKind.CONVEX] = sum(found.counts.values())
    if repair and not owner:
        verifications.remember(_verification(found))
    return not found.error


def _verification(found: verify_convex.Verified) -> verifications.Verification:
    counted = (found.counts, found.compared, found.unread)
    counts, compared, unread = ({str(name): number for name, number in one.items()} for one in counted)
    return verifications.Verification(clock.now(), found.checked, counts, compared, unread, found.error)


def _from_convex(found: ConvexDifference) -> SweepFinding:
    return SweepFinding(
        kind=FindingKind.CONVEX,
        text=f"{found.kind.replace('_', ' ')}: {found.detail}",
        daytona_id=found.daytona_id,
        sandbox_id=found.sandbox_id,
        owner=found.owner,
    )


def _close_notices(run: Run) -> None:
    """A complete list proves that Daytona answers us, and which sandboxes have no row."""
    for code in (NoticeCode.DAYTONA_UNAUTHORIZED, NoticeCode.DAYTONA_NOT_CONFIGURED):
        notices.close(code)
    if run.options.owner:
        return
    notices.close(NoticeCode.SWEEP_STALE)
    if differing := run.report.counts[FindingKind.SETTING]:
        notices.tell(NoticeCode.SETTINGS_DIFFER, _differing(differing))
    else:
        notices.close(NoticeCode.SETTINGS_DIFFER)
    orphans.forget_unseen(run.started)
    if count := orphans.undecided():
        them = "1 sandbox with an owner that has" if count == 1 else f"{count} sandboxes with an owner that have"
        notices.tell(NoticeCode.ORPHANS, f"Daytona has {them} no row here.")
    else:
        notices.close(NoticeCode.ORPHANS)


def _differing(count: int) -> str:
    which = "1 sandbox" if count == 1 else f"{count} sandboxes"
    return f"Daytona holds other settings of {which} than were asked for; a dry run of the sweep names them."


def _prune_daily(run: Run) -> None:
    """Once a day over all machines; one that failed is due again."""

    def carry_out() -> bool:
        run.report.count("pruned", sum(prune.prune(beat=run.beat).values()))
        return True

    schedules.when_due("prune", carry_out, every=DAY)
