"""Telling Daytona labels and intervals; what it then holds is read back by the next look (core/pending.py).

The one rule: a value is told until Daytona holds it, refuses it, or has accepted it and holds another. From then on
a difference was made outside: it is shown and reported, and stays until somebody asks for a value again. Only what
a call of ours without an answer may have undone late is told once more; and our labels, by which a lost row would
be found again, are put back by each sweep and with each other label.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from django.conf import settings

from sandboxes import clock
from sandboxes.core import asked, pending
from sandboxes.core.backoff import backoff
from sandboxes.core.codes import NoticeCode
from sandboxes.core.pending import Pending
from sandboxes.core.results import MEANINGS
from sandboxes.core.vocabulary import EventKind
from sandboxes.models import Sandbox
from sandboxes.providers.daytona.gateway import DaytonaError, Rejected, Unknown
from sandboxes.services import notices, sandbox_store
from sandboxes.services.decisions import refresh

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
    from datetime import datetime
    from uuid import UUID

    from sandboxes.core.facts import RemoteSandbox
    from sandboxes.providers.protocols import SandboxProvider

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 600.0  # seconds
MOST_TRIES = 8  # of a call that Daytona answers with an error of its own each time: ten minutes
BY_A_PROXY = (502, 504)  # who answered for Daytona does not know what becomes of the call

ChangeResult = Pending | DaytonaError


async def tell(
    daytona: SandboxProvider, remote: RemoteSandbox, due: Mapping[str, Pending], *, now: Callable[[], datetime]
) -> dict[str, ChangeResult]:
    """Make the calls for these settings; returns what became of each."""
    outcomes: dict[str, ChangeResult] = {}
    for together, make in _calls(daytona, remote, due):
        try:
            await make()
        except DaytonaError as error:
            outcomes |= {key: _after_failure(due[key], error, now()) for key in together}
        else:
            outcomes |= {key: replace(due[key], told_at=now(), due_at=None) for key in together}
    return outcomes


def due_of(sandbox_id: UUID, keys: Iterable[str]) -> dict[str, Pending]:
    """Those of these settings that are still on their way."""
    stored = pending.from_data(Sandbox.objects.values_list("pending_changes", flat=True).get(pk=sandbox_id))
    return {key: stored[key] for key in keys if key in stored}


def record_told(
    sandbox_id: UUID, due: Mapping[str, Pending], outcomes: Mapping[str, ChangeResult], token: str
) -> None:
    """Write down what became of each setting, and give the lease back."""
    with sandbox_store.lock_sandbox(sandbox_id, token=token) as row:
        _write(row, due, outcomes)
        refresh(row, active=sandbox_store.active_operation(row.pk), now=clock.now())
        sandbox_store.clear_lease(row)


def _calls(
    daytona: SandboxProvider, remote: RemoteSandbox, due: Mapping[str, Pending]
) -> Iterator[tuple[list[str], Callable[[], Awaitable[None]]]]:
    """Labels are merged into what the GET just showed: Daytona's PUT replaces all."""
    labels = {key: str(one.value) for key, one in due.items() if key not in asked.INTERVALS}
    if labels:
        after = {name: value for name, value in {**remote.labels, **labels}.items() if labels.get(name) != ""}
        yield list(labels), lambda: daytona.replace_labels(remote.id, after)
    for key, change in zip(
        asked.INTERVALS, (daytona.set_auto_stop, daytona.set_auto_archive, daytona.set_auto_delete), strict=True
    ):
        if key in due:
            yield [key], partial(change, remote.id, int(due[key].value))


def _after_failure(one: Pending, error: DaytonaError, now: datetime) -> ChangeResult:
    """When it is told again; the error itself where that would not help."""
    if isinstance(error, Rejected):
        return error
    is_lost = isinstance(error, Unknown) and error.sent and error.status in (None, *BY_A_PROXY)
    if isinstance(error, Unknown) and error.status is not None and one.tries + 1 >= MOST_TRIES:
        return error
    result = error.as_result()
    pause = max(
        result.retry_after or MEANINGS[result.kind].pause,
        backoff(one.tries, first=FIRST_PAUSE, longest=LONGEST_PAUSE, jitter=random.random()),
    )
    doubt = now + timedelta(seconds=settings.IN_DOUBT_SECONDS) if is_lost else None
    return one.retry(at=now + timedelta(seconds=pause), doubt_until=doubt)


def _write(row: Sandbox, due: Mapping[str, Pending], outcomes: Mapping[str, ChangeResult]) -> None:
    """What was asked otherwise meanwhile stays on its way."""
    changes = pending.from_data(row.pending_changes)
    for key, outcome in outcomes.items():
        now_wanted = changes.get(key)
        if isinstance(outcome, DaytonaError):
            if now_wanted == due[key]:
                del changes[key]
                _tell_refused(row, key, due[key], outcome)
        elif now_wanted is not None and now_wanted.value == outcome.value:
            changes[key] = outcome
        elif now_wanted is not None:
            changes[key] = replace(now_wanted, doubt_until=outcome.may_show_until(settings.READ_CACHE_SECONDS))
    row.pending_changes = pending.as_data(changes)


def _tell_refused(row: Sandbox, key: str, one: Pending, error: DaytonaError) -> None:
    held = asked.observed(row, key)
    said = key.replace("_", "-") if key in asked.INTERVALS else f"the label {key}"
    text = f"Daytona refuses {said} {one.value}; it holds {'none' if held is None else held}"
    sandbox_store.event(row, EventKind.CHANGE, text, data={"daytona_message": error.message})
    notices.tell(NoticeCode.SETTINGS_DIFFER, f"{text} of “{row}” ({row.pk}): {error.message}")
