"""Daytona's list, page by page; nothing is concluded from it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

from sandboxes.core.asked import OWNER_LABEL
from sandboxes.providers import blocking
from sandboxes.providers.daytona.gateway import DaytonaError, RateLimited
from sandboxes.services.reconcile.result import FindingKind, SweepFinding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandboxes.providers.protocols import Page, SandboxProvider
    from sandboxes.services.reconcile.run import Run
    from sandboxes.services.shown_ids import ShownIds

MOST_THROTTLED = 3  # throttled answers in a row that are waited for
LONGEST_WAIT = 30.0


def walk(run: Run, daytona: SandboxProvider, shown: ShownIds) -> Iterator[Page]:
    """All pages, oldest sandbox first. A page without a new id, or an error, ends the walk as partial.

    A list that repeats itself would never end, and one that broke off proves nothing of what it lacks
    (recordings 10_list, 12_list_concurrent_changes, 15_outages).
    """
    cursor: str | None = None
    while True:
        run.keep()
        try:
            page = _page(run, daytona, cursor)
        except DaytonaError as error:
            run.tell_of(error)
            run.partial(f"the list broke off: {message_of(error)}")
            return
        fresh = shown.add(item.id for item in page.items)
        run.report.count("pages")
        run.report.count("listed", fresh)
        _bad_rows(run, page)
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return
        if not fresh:
            run.partial("the list repeats itself")
            return


def _page(run: Run, daytona: SandboxProvider, cursor: str | None) -> Page:
    labels = {OWNER_LABEL: run.options.owner} if run.options.owner else None
    for left in range(MOST_THROTTLED, -1, -1):
        try:
            call = daytona.list_page(cursor=cursor, limit=settings.RECONCILE_PAGE, labels=labels)
            return blocking.run(call)
        except RateLimited as error:
            if not left:
                raise
            run.wait(min(max(error.retry_after, 0.2), LONGEST_WAIT))
    raise AssertionError("unreachable")


def _bad_rows(run: Run, page: Page) -> None:
    """A row that is no sandbox spoils no other; but what it stands for is not known to be missing either."""
    for message in page.bad_rows:
        run.report.add(
            SweepFinding(kind=FindingKind.BAD_ROW, text=f"Daytona's list has a row that cannot be read: {message}")
        )
    if page.bad_rows:
        run.partial("the list has rows that cannot be read")


def message_of(error: DaytonaError) -> str:
    """The error for people: its kind and Daytona's words."""
    return f"{type(error).__name__}: {error.message}".rstrip(": ")
