"""Keep a copy of all sandboxes in a SQLite database: mirror.py FILE [OWNER]. Kill it whenever you like.

The cursor of the feed is written in the transaction that writes what the page changed: whatever is lost with the
process comes again, and nothing twice.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from sandkeeper_client import CursorExpired, Sandkeeper

if TYPE_CHECKING:
    from sandkeeper_client.types import Event, FeedAnswer

TABLES = """
CREATE TABLE IF NOT EXISTS sandbox (id TEXT PRIMARY KEY, shown TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS feed (cursor INTEGER NOT NULL);
"""
NO_MORE = ("pruned", "erased")  # its record is deleted there


def begin_anew(client: Sandkeeper, database: sqlite3.Connection) -> int:
    """Where the feed is now, and then everything: what changes meanwhile comes by the feed."""
    cursor = next(client.events("latest", wait=0))["cursor"]
    rows = list(client.every(client.list_sandboxes(order="created_at", limit=200)))
    with database:
        database.execute("DELETE FROM sandbox")
        database.executemany("INSERT INTO sandbox VALUES (?, ?)", [(row["id"], json.dumps(row)) for row in rows])
        database.execute("DELETE FROM feed")
        database.execute("INSERT INTO feed VALUES (?)", [cursor])
    return cursor


def take(page: FeedAnswer, database: sqlite3.Connection) -> None:
    with database:
        for event in page["results"]:
            take_event(event, database)
        database.execute("UPDATE feed SET cursor = ?", [page["cursor"]])


def take_event(event: Event, database: sqlite3.Connection) -> None:
    if event["type"] in NO_MORE:
        database.execute("DELETE FROM sandbox WHERE id = ?", [event["sandbox"]])
        return
    found = database.execute("SELECT shown FROM sandbox WHERE id = ?", [event["sandbox"]]).fetchone()
    shown = (json.loads(found[0]) if found else {"id": event["sandbox"], "owner": event["owner"]}) | event[
        "changes"
    ]
    database.execute("INSERT OR REPLACE INTO sandbox VALUES (?, ?)", [event["sandbox"], json.dumps(shown)])


def follow(client: Sandkeeper, database: sqlite3.Connection) -> None:
    known = database.execute("SELECT cursor FROM feed").fetchone()
    cursor = known[0] if known else begin_anew(client, database)
    for page in client.events(cursor):
        take(page, database)
        print(f"at {page['cursor']}", flush=True)


def main() -> None:
    file, *owner = sys.argv[1:]
    url, key = os.environ["SANDKEEPER_URL"], os.environ["SANDKEEPER_KEY"]
    with (
        Sandkeeper(url, key, owner=owner[0] if owner else None) as client,
        closing(sqlite3.connect(file)) as database,
    ):
        database.executescript(TABLES)
        while True:
            try:
                follow(client, database)
            except CursorExpired:
                begin_anew(client, database)


if __name__ == "__main__":
    main()
