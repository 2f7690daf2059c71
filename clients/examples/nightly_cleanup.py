"""Archive what was not used for days, delete what was archived for weeks: nightly_cleanup.py OWNER [--dry-run].

A second run in the same night asks for the same, and changes nothing more.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sandkeeper_client import Sandkeeper

if TYPE_CHECKING:
    from sandkeeper_client.types import RequestableAction, Sandbox

ARCHIVE_AFTER = timedelta(days=float(os.environ.get("ARCHIVE_AFTER_DAYS", "3")))
DELETE_AFTER = timedelta(days=float(os.environ.get("DELETE_AFTER_DAYS", "30")))
AT_ONCE = 200  # the most that one bulk request takes


def moment(text: str | None) -> datetime:
    return datetime.fromisoformat(text) if text else datetime.min.replace(tzinfo=UTC)


def is_left_alone(row: Sandbox, now: datetime) -> bool:
    """A person protects it, or something is being done to it."""
    return moment(row["protected_until"]) > now or row["operation"] is not None


def unused_since(row: Sandbox) -> datetime:
    return max(moment(row["last_accessed_at"]), moment(row["last_activity_at"]), moment(row["status_changed_at"]))


def ask(client: Sandkeeper, action: RequestableAction, rows: list[Sandbox], *, is_dry: bool) -> None:
    for start in range(0, len(rows), AT_ONCE):
        names = {row["id"]: row["name"] for row in rows[start : start + AT_ONCE]}
        if is_dry:
            print(f"would {action}: {', '.join(sorted(names.values()))}")
            continue
        for result in client.bulk_sandboxes(action=action, ids=list(names), reason="nightly clean-up")["results"]:
            problem = result["problem"]
            print(f"{action} {names[result['id']]}: {problem['code'] if problem else 'accepted'}")


def main() -> None:
    owner, *options = sys.argv[1:]
    is_dry = "--dry-run" in options
    now = datetime.now(UTC)
    with Sandkeeper(os.environ["SANDKEEPER_URL"], os.environ["SANDKEEPER_KEY"], owner=owner) as client:
        everything = client.every(
            client.list_sandboxes(status=["stopped", "archived"], order="created_at", limit=200)
        )
        rows = [row for row in everything if not is_left_alone(row, now)]
        for action, status, age in (("archive", "stopped", ARCHIVE_AFTER), ("delete", "archived", DELETE_AFTER)):
            due = [row for row in rows if row["status"] == status and unused_since(row) <= now - age]
            if action == "archive":
                due = [row for row in due if not row["ephemeral"]]  # it cannot be archived
            ask(client, action, due, is_dry=is_dry)


if __name__ == "__main__":
    main()
