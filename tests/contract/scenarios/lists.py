"""10 and 12: pages, sorts and filters; what a list misses when rows move between pages."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from tests.contract.compare import decoded, differences
from tests.contract.replay import Entry, Replay, Scenario, Step

BUMPED = "default sort; activity of an unseen row bumped between pages"
PAGE = re.compile(r"(.*) page \d+$")
SAME_MILLISECOND = "2026-11-23T06:18:26.000"


# 10


def nine(replay: Replay) -> None:
    for row in replay.recorded("paginated default")["items"]:
        replay.seed(row)


def page(replay: Replay, entry: Entry) -> None:
    """A page of a walk: the recorder kept five fields of each item. Our cursor replaces the recorded one."""
    cursors = replay.memory.setdefault("cursors", {})
    path = entry["request"]["path"]
    if recorded := parse_qs(urlsplit(path).query).get("cursor"):
        path = f"{path.split('&cursor=')[0]}&cursor={quote(cursors[recorded[0]], safe='')}"
    body = replay.call("GET", path).body
    wanted = entry["response"]["body"]
    kept = [{key: item[key] for key in old} for old, item in zip(wanted["items"], body["items"], strict=False)]
    found = differences(wanted, body | {"items": kept}, ids=replay.ids)
    if len(wanted["items"]) != len(body["items"]):
        found.append(f"recorded {len(wanted['items'])} items, got {[item['name'] for item in body['items']]}")
    replay.problems += [f"{entry['label']}: {problem}" for problem in found]
    cursors[wanted["nextCursor"]] = body["nextCursor"]
    walk = PAGE.match(entry["label"])
    assert walk is not None
    names = replay.memory.setdefault(f"walk {walk[1]}", [])
    names += [item["name"] for item in body["items"]]


def summary(replay: Replay, entry: Entry) -> None:
    """What the walk saw: order, doubles, gaps, and what is inside its cursors."""
    seen = replay.memory[f"walk {entry['label'].removesuffix(' summary')}"]
    every = {replay.variant.renamed(f"p{number}") for number in range(9)}
    doubles = {name for name in seen if seen.count(name) > 1}
    got = [seen, sorted(doubles), sorted(every - set(seen))]
    wanted = [entry["order"], sorted(entry["dups"]), sorted(entry["missing"])]
    keys = {tuple(json.loads(cursor)) for cursor in entry["cursors"]}
    ours = {tuple(decoded(cursor)) for cursor in replay.memory["cursors"].values() if cursor}
    if got != wanted or (keys and keys != ours):
        replay.problems.append(f"{entry['label']}: recorded {wanted} {keys}, got {got} {ours}")


def key_of(replay: Replay, name: str) -> str:
    return str(replay.call("GET", f"/api/sandbox/{replay.variant.renamed(name)}").body["id"])


def one_millisecond(replay: Replay, entry: Entry) -> None:
    """The recorder forced this in the database, which keeps microseconds."""
    for number in range(9):
        replay.emulator.change(key_of(replay, f"p{number}"), createdAt=f"{SAME_MILLISECOND}{number:03d}Z")


def no_activity(replay: Replay, entry: Entry) -> None:
    """Forced in the database, too."""
    for number in range(4):
        replay.emulator.change(key_of(replay, f"p{number}"), lastActivityAt=None)


def bumped_between_pages(replay: Replay, entry: Entry) -> None:
    first = replay.call("GET", "/api/sandbox?limit=3").body
    name = entry["bumped"]
    replay.call("POST", f"/api/sandbox/{key_of(replay, name.removeprefix(replay.variant.prefix))}/last-activity")
    replay.emulator.advance(11)
    seen = [item["name"] for item in first["items"] + rest(replay, "limit=3", first["nextCursor"])]
    missing = sorted({replay.variant.renamed(f"p{number}") for number in range(9)} - set(seen))
    if [seen, missing] != [entry["seen"], sorted(entry["missing"])]:
        replay.problems.append(f"{entry['label']}: recorded {entry}, got {seen}")


def rest(replay: Replay, query: str, cursor: str | None) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    while cursor:
        body = replay.call("GET", f"/api/sandbox?{query}&cursor={quote(cursor, safe='')}").body
        items += body["items"]
        cursor = body["nextCursor"]
    return items


def rows_as_listed(replay: Replay, entry: Entry) -> None:
    """Between the walks and the filters the recorder stopped and started some."""
    for row in entry["response"]["body"]["items"]:
        number = int(row["name"][-1])
        changes = {key: row.get(key) for key in ("state", "desiredState", "lastActivityAt", "backupState")}
        created = f"{SAME_MILLISECOND}{number:03d}Z"
        replay.emulator.change(replay.ids[row["id"]], createdAt=created, **changes)


def id_prefix(replay: Replay, entry: Entry) -> None:
    start = entry["request"]["path"].split("=")[1]
    key = next(new for old, new in replay.ids.items() if old.startswith(start))
    replay.check(entry, replay.call("GET", f"/api/sandbox?id={key[: len(start)]}"))


class Walks(dict[str, Step]):
    """Pages and summaries of walks, by the end of their labels; the rest by name."""

    def __contains__(self, label: object) -> bool:
        text = str(label)
        walked = PAGE.match(text) and not text.startswith("paginated")
        return super().__contains__(label) or bool(walked) or text.endswith(" summary")

    def __missing__(self, label: str) -> Step:
        return summary if label.endswith(" summary") else page


# 12


def seven(replay: Replay) -> None:
    for number in range(7):
        moment = f"2026-11-23T06:20:0{number}.000Z"
        replay.fill(replay.variant.renamed(f"r{number}"), createdAt=moment, lastActivityAt=moment)


def changed_between_pages(query: str, change: Step) -> Step:
    """Page one, the change, the other pages: what was seen, missed and doubled."""

    def step(replay: Replay, entry: Entry) -> None:
        first = replay.call("GET", f"/api/sandbox?{query}").body
        change(replay, entry)
        seen = [item["name"] for item in first["items"] + rest(replay, query, first["nextCursor"])]
        recorded = {key: entry[key] for key in ("page1", "seen", "missing", "dups")}
        got = {
            "page1": [item["name"] for item in first["items"]],
            "seen": seen,
            "missing": sorted(replay.memory.get("rows", _all(replay)) - set(seen)),
            "dups": sorted({name for name in seen if seen.count(name) > 1}),
        }
        if got != recorded:
            replay.problems.append(f"{entry['label']}: recorded {recorded}, got {got}")

    return step


def _all(replay: Replay) -> set[str]:
    return {replay.variant.renamed(f"r{number}") for number in range(7)}


def activity(replay: Replay, entry: Entry) -> None:
    key = replay.call("GET", f"/api/sandbox/{entry['target']}").body["id"]
    replay.call("POST", f"/api/sandbox/{key}/last-activity")
    replay.emulator.advance(11)


def creation(replay: Replay, entry: Entry) -> None:
    replay.call("POST", "/api/sandbox", {"name": replay.variant.renamed("r-new")})


def deletion_of_the_cursor_row(replay: Replay, entry: Entry) -> None:
    destroy(replay, entry["page1"][-1])


def destroy(replay: Replay, name: str) -> None:
    key = replay.call("GET", f"/api/sandbox/{name}").body["id"]
    replay.call("DELETE", f"/api/sandbox/{key}")
    while replay.call("GET", f"/api/sandbox/{key}").status == 200:
        replay.emulator.step()
    replay.memory["rows"] = replay.memory.get("rows", _all(replay)) - {name}


def without_r_new(replay: Replay, entry: Entry) -> None:
    destroy(replay, replay.variant.renamed("r-new"))


def in_the_recorded_order(replay: Replay, entry: Entry) -> None:
    """By last activity: page one as recorded, then the target, then the others."""
    order = [*entry["page1"], entry["target"], *[name for name in entry["seen"] if name not in entry["page1"]]]
    for place, name in enumerate(order):
        replay.emulator.change(name_to_id(replay, name), lastActivityAt=f"2026-11-23T06:30:{50 - place}.000Z")


def name_to_id(replay: Replay, name: str) -> str:
    return str(replay.call("GET", f"/api/sandbox/{name}").body["id"])


def stopping(replay: Replay, entry: Entry) -> None:
    replay.call("POST", f"/api/sandbox/{entry['target']}/stop")
    replay.until(entry["target"], "stopped")


def numbered_pages(replay: Replay, entry: Entry) -> None:
    """A row of page one is deleted: one row of page two moves up and is never seen."""
    seen = [item["name"] for item in replay.call("GET", "/api/sandbox/paginated?page=1&limit=3").body["items"]]
    replay.memory["rows"] = {*entry["seen"], *entry["missing"]}
    destroy(replay, seen[1])
    for number in (2, 3):
        items = replay.call("GET", f"/api/sandbox/paginated?page={number}&limit=3").body["items"]
        seen += [item["name"] for item in items]
    missing = sorted(replay.memory["rows"] - set(seen))
    if [seen, missing] != [entry["seen"], entry["missing"]]:
        replay.problems.append(f"{entry['label']}: recorded {entry}, got {seen} without {missing}")


STABLE = "limit=3&sort=createdAt&order=asc"
SCENARIOS = {
    "10_list": Scenario(
        rows=nine,
        before={
            "createdAt asc, same ms page 0": one_millisecond,
            "default w/ null lastActivity page 0": no_activity,
            "states repeated": rows_as_listed,
        },
        instead=Walks({BUMPED: bumped_between_pages, "id prefix": id_prefix}),
    ),
    "12_list_concurrent_changes": Scenario(
        rows=seven,
        before={
            "createdAt asc, cursor row deleted between pages": without_r_new,
            "default sort, unseen row stopped between pages": in_the_recorded_order,
        },
        instead={
            "default sort, unseen row gets activity between pages": changed_between_pages("limit=3", activity),
            "createdAt asc, unseen row gets activity": changed_between_pages(STABLE, activity),
            "createdAt asc, row created between pages": changed_between_pages(STABLE, creation),
            "createdAt asc, cursor row deleted between pages": changed_between_pages(
                STABLE, deletion_of_the_cursor_row
            ),
            "default sort, unseen row stopped between pages": changed_between_pages("limit=3", stopping),
            "paginated (page/limit), a row of page 1 is deleted between pages": numbered_pages,
        },
        names=("r0", "r1", "r2", "r3", "r4", "r5", "r6", "r-new"),
    ),
}
