"""Telling Daytona labels and intervals, and reading back what it then holds.

The one rule: a value is told until Daytona holds it, refuses it, or has accepted it and holds another. From then on
a difference was made outside: it is shown and reported, and stays until somebody asks for a value again. Only what
a call of ours without an answer may have undone late is told once more; and our labels, by which a lost row would
be found again, are put back by each sweep and with each other label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from sandboxes import clock
from sandboxes.codes import NoticeCode
from sandboxes.gateways.daytona import DaytonaError, DaytonaGateway, Rejected, RemoteSandbox, Unknown
from sandboxes.models import Sandbox, SandboxEvent
from sandboxes.services import asked, notices, pending, record
from sandboxes.services.lifecycle import call
from sandboxes.services.lifecycle.look import Look
from sandboxes.services.pending import Pending

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 600.0  # seconds; doubled with each try
MOST_TRIES = 8  # of a call that Daytona answers with an error of its own each time: ten minutes
BY_A_PROXY = (502, 504)  # who answered for Daytona does not know what becomes of the call

Result = Pending | DaytonaError


def read_back(row: Sandbox, seen: Look, *, now: datetime) -> dict[str, Pending]:
    """Compare what is on its way with what was just seen. Returns what Daytona is to be told now."""
    before = pending.read(row)
    after = {
        key: kept
        for key, one in before.items()
        if (kept := _kept(one, holds=asked.observed(row, key) == one.value, seen=seen.started))
    }
    if any(key not in asked.INTERVALS and not one.told_at for key, one in after.items()):
        after |= {key: Pending(value=value) for key, value in asked.lost_labels(row).items() if key not in before}
    pending.write(row, after)
    given_up = [one for one in asked.differences(row) if one.key in before and one.key not in after]
    record.tell_differences(row, given_up, now=now)
    return {key: one for key, one in after.items() if not one.told_at and (one.due_at or now) <= now}


def _kept(one: Pending, *, holds: bool, seen: datetime) -> Pending | None:
    """What is left of a change after a look; None: it is over, for Daytona holds it, or another value for good."""
    may_be_undone = one.doubt_until is not None and seen < one.doubt_until
    if holds:
        return replace(one, told_at=one.told_at or seen, due_at=one.doubt_until) if may_be_undone else None
    if one.told_at is None:
        return one
    shows_from = one.told_at + timedelta(seconds=settings.CALL_ECHO_SECONDS)  # GETs come from a cache until then
    if seen < shows_from:
        return replace(one, due_at=shows_from)
    if one.doubt_until is None:
        return None
    return replace(one, told_at=None, due_at=None, doubt_until=one.doubt_until if may_be_undone else None)


def tell(
    daytona: DaytonaGateway, sandbox_id: UUID, remote: RemoteSandbox, due: Mapping[str, Pending], *, token: str
) -> None:
    """Make the calls, and write down what became of each."""
    results: dict[str, Result] = {}
    for keys, make in _calls(daytona, remote, due):
        try:
            make()
        except DaytonaError as error:
            results |= {key: _after_failure(due[key], error) for key in keys}
        else:
            results |= {key: replace(due[key], told_at=clock.now(), due_at=None) for key in keys}
    with record.locked(sandbox_id, token=token) as row:
        _write(row, due, results)
        record.settle(row, active=record.active_operation(row.pk), now=clock.now())


def _calls(
    daytona: DaytonaGateway, remote: RemoteSandbox, due: Mapping[str, Pending]
) -> Iterator[tuple[list[str], Callable[[], None]]]:
    """Labels are merged into what the GET just showed: Daytona's PUT replaces all."""
    labels = {key: str(one.value) for key, one in due.items() if key not in asked.INTERVALS}
    if labels:
        yield list(labels), lambda: daytona.replace_labels(remote.id, {**remote.labels, **labels})
    for key, change in zip(
        asked.INTERVALS, (daytona.set_auto_stop, daytona.set_auto_archive, daytona.set_auto_delete), strict=True
    ):
        if key in due:
            minutes = int(due[key].value)
            yield [key], lambda change=change, minutes=minutes: change(remote.id, minutes)  # type: ignore[misc]


def _after_failure(one: Pending, error: DaytonaError) -> Result:
    """When it is told again; the error itself where that would not help."""
    if isinstance(error, Rejected):
        return error
    is_lost = isinstance(error, Unknown) and error.sent and error.status in (None, *BY_A_PROXY)
    if isinstance(error, Unknown) and error.status is not None and one.tries + 1 >= MOST_TRIES:
        return error
    now = clock.now()
    pause = max(call.meaning(error).pause, min(FIRST_PAUSE * 2**one.tries, LONGEST_PAUSE))
    doubt = now + timedelta(seconds=settings.UNSETTLED_SECONDS) if is_lost else None
    return pending.retry(one, at=now + timedelta(seconds=pause), doubt_until=doubt)


def _write(row: Sandbox, due: Mapping[str, Pending], results: Mapping[str, Result]) -> None:
    """What was asked otherwise meanwhile stays on its way."""
    changes = pending.read(row)
    for key, result in results.items():
        now_wanted = changes.get(key)
        if isinstance(result, DaytonaError):
            if now_wanted == due[key]:
                del changes[key]
                _tell_refused(row, key, due[key], result)
        elif now_wanted is not None and now_wanted.value == result.value:
            changes[key] = result
        elif now_wanted is not None:
            changes[key] = replace(now_wanted, doubt_until=result.may_show_until)
    pending.write(row, changes)


def _tell_refused(row: Sandbox, key: str, one: Pending, error: DaytonaError) -> None:
    held = asked.observed(row, key)
    text = f"Daytona refuses {key.replace('_', '-')} {one.value}; it holds {'none' if held is None else held}"
    record.event(row, SandboxEvent.Kind.CHANGE, text, data={"words": error.message})
    notices.tell(NoticeCode.SETTINGS_DIFFER, f"{text} of “{row}” ({row.pk}): {error.message}")
