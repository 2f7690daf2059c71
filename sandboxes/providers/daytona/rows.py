"""A sandbox as Daytona describes it, read leniently: an odd field spoils itself at most, never the row."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sandboxes.core.facts import RemoteSandbox
from sandboxes.providers.messages import named, said, storable
from sandboxes.providers.protocols import Page

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_NUMBER = 2**31 - 1


class UnreadableBody(ValueError):
    """A 2xx answer whose body does not describe a sandbox, or a page of them."""


def read_sandbox(body: bytes) -> RemoteSandbox:
    """Raises UnreadableBody unless the body is a JSON object with an id."""
    return sandbox_from(_json(body))


def read_page(body: bytes) -> Page:
    """Raises UnreadableBody unless the body has the form of a page, `nextCursor` included.

    The end of the list must be said, not guessed: a caller concludes from it which sandboxes are missing.
    """
    answer = _json(body)
    rows = answer.get("items") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or "nextCursor" not in answer:
        raise UnreadableBody("the list's answer has no items or no nextCursor")
    cursor = answer["nextCursor"]
    if not isinstance(cursor, str | None):
        raise UnreadableBody("the list's nextCursor is not text")
    items: list[RemoteSandbox] = []
    bad: list[str] = []
    for number, row in enumerate(rows):
        try:
            items.append(sandbox_from(row))
        except UnreadableBody as error:
            bad.append(f"row {number}: {error}")
    return Page(tuple(items), cursor or None, tuple(bad))


def sandbox_from(row: object) -> RemoteSandbox:
    """Raises UnreadableBody unless the row is an object with an id."""
    if not isinstance(row, dict):
        raise UnreadableBody(f"not an object but {type(row).__name__}")
    key = named(row.get("id")).strip()
    if not key or key != row["id"]:
        raise UnreadableBody(f"an object without an id (it has {_names(row)})")
    labels = _labels(row.get("labels"))
    reason = row.get("errorReason")
    return RemoteSandbox(
        id=key,
        organization_id=named(row.get("organizationId")),
        name=named(row.get("name")),
        target=named(row.get("target"), 100),
        snapshot=named(row.get("snapshot")),
        cpu=_whole(row.get("cpu")),
        memory_gb=_whole(row.get("memory")),
        disk_gb=_whole(row.get("disk")),
        state=named(row.get("state"), 50),
        desired_state=named(row.get("desiredState"), 50),
        error_reason=said(reason if isinstance(reason, str) else ""),
        recoverable=row.get("recoverable") is True,
        auto_stop_interval=_whole(row.get("autoStopInterval")),
        auto_archive_interval=_whole(row.get("autoArchiveInterval")),
        auto_delete_interval=_whole(row.get("autoDeleteInterval")),
        sandbox_class=named(row.get("sandboxClass"), 100),
        labels=labels,
        created_at=_time(row.get("createdAt")),
        last_activity_at=_time(row.get("lastActivityAt")),
    )


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableBody("the body is not JSON") from error


def _names(row: Mapping[str, object]) -> str:
    return ", ".join(sorted(storable(str(name))[:30] for name in row)[:8]) or "nothing"


def _whole(value: object) -> int | None:
    """A size or an interval; a fraction is rounded up, so that sums never come out too small."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = math.ceil(float(value))
    except (ValueError, OverflowError):
        return None
    return number if abs(number) <= LARGEST_NUMBER else None


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _labels(value: object) -> dict[str, str]:
    """Daytona stores anything (recording 18_labels_edge): numbers become text, the rest is dropped.

    They are not cut: a change of ours sends the others' labels back as they were.
    """
    if not isinstance(value, dict):
        return {}
    kept = {storable(str(name)): storable(label) for name, label in value.items() if isinstance(label, str)}
    for name, label in value.items():
        if isinstance(label, bool | int | float):
            kept[storable(str(name))] = json.dumps(label)
    return kept
