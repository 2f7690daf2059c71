"""The twin of convex/sandkeeper.ts: `sandkeeper:apply`, `sandkeeper:list` and `sandkeeper:probe`.

convex/cases.json holds the cases that both must pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.convex.functions import Context, ConvexError, Function, UserError
from emulator.convex.harness import RESOURCES, STATUS
from emulator.convex.validators import BOOLEAN, NULL, NUMBER, STRING, Array, Object, Union, literals

if TYPE_CHECKING:
    from emulator.convex.tables import Document

MAX_CHANGES = 100
MAX_PAGE = 1000
PAGE = 200
# Every index that is read here: table and name, and the field it is of.
NEEDED = {
    "sandboxes.by_daytona_id": "daytonaSandboxId",
    "harnesses.by_user": "userId",
    "workspaces.by_user": "userId",
    "sandkeeperRevisions.by_daytona_id": "daytonaSandboxId",
}
SHOWN = (
    *("_id", "daytonaSandboxId", "userId", "name", "status", "errorMessage", "harnessId", "ephemeral", "language"),
    *("lastAccessedAt", "createdAt"),
)
WANTED_ROW = Object(
    {"name": STRING, "status": STATUS, "ephemeral": BOOLEAN, "resources": RESOURCES, "createdAt": NUMBER},
    {
        "errorMessage": STRING,
        "language": STRING,
        "snapshotId": STRING,
        "gitRepo": STRING,
        "harnessId": STRING,
        "rename": BOOLEAN,
        "takeBack": Array(STRING),
        "ifAbsent": literals("create", "leave", "recreate"),
    },
)
# How a row is to be written; all else is its content.
RULES = {"rename", "takeBack", "ifAbsent"}
CHANGE = Object(
    {"sandboxId": STRING, "daytonaSandboxId": STRING, "userId": STRING, "revision": NUMBER},
    {"lastAccessedAt": NUMBER, "firstCreation": BOOLEAN, "row": Union((WANTED_ROW, NULL))},
)


def functions() -> list[Function]:
    page = Object({"cursor": Union((STRING, NULL))}, {"limit": NUMBER})
    return [
        Function("sandkeeper:apply", "Mutation", apply, Object({"changes": Array(CHANGE)})),
        Function("sandkeeper:list", "Query", list_rows, page),
        Function("sandkeeper:probe", "Query", probe, Object({})),
    ]


def apply(ctx: Context, args: dict[str, Any]) -> list[Document]:
    changes = args["changes"]
    if len(changes) > MAX_CHANGES:
        message = f"{len(changes)} changes in one call; send at most {MAX_CHANGES}."
        raise ConvexError({"code": "too_many_changes", "message": message})
    return [_apply_one(ctx, change) for change in changes]


def list_rows(ctx: Context, args: dict[str, Any]) -> Document:
    limit = args.get("limit", float(PAGE))
    if not (float(limit).is_integer() and 1 <= limit <= MAX_PAGE):
        message = f"limit is {limit:g}; send a whole number from 1 to {MAX_PAGE}."
        raise ConvexError({"code": "bad_limit", "message": message})
    rows = ctx.tables.all("sandboxes")
    start = int(args["cursor"] or 0)
    end = start + int(limit)
    page = [_listed(ctx, row) for row in rows[start:end]]
    return {"rows": page, "cursor": str(end) if end < len(rows) else None}


def probe(ctx: Context, args: dict[str, Any]) -> Document:
    return {"missing": [name for name in NEEDED if name in ctx.lacks]}


def _apply_one(ctx: Context, change: Document) -> Document:
    daytona_id = change["daytonaSandboxId"]
    seen = _revision_of(ctx, daytona_id)
    stored = seen["revision"] if seen else 0.0
    rows = _by(ctx, "sandboxes.by_daytona_id", daytona_id)

    def answer(outcome: str, revision: float) -> Document:
        if outcome == "applied":
            ctx.accepted.append((daytona_id, change))
        return {"daytonaSandboxId": daytona_id, "outcome": outcome, "revision": revision}

    if any(row["userId"] != change["userId"] for row in rows):
        return answer("foreign_owner", stored)
    if "row" not in change:
        _touch(ctx, rows, change)
        return answer("applied" if rows else "no_row", stored)
    if change["row"] is not None and not rows and _is_to_be_left(seen, change["row"]):
        return answer("removed", stored)
    repeated = bool(seen) and stored == change["revision"] and _already_says(rows, change["row"])
    if change["revision"] <= stored and not repeated:
        _touch(ctx, rows, change)
        return answer("stale", stored)
    if change["row"] is None:
        _remove(ctx, rows, change)
    elif not rows:
        _create(ctx, change, seen)
    else:
        _update(ctx, rows, change)
    _remember(ctx, seen, change)
    return answer("applied", change["revision"]) | _linked_or_not(ctx, change)


def _is_to_be_left(seen: Document | None, wanted: Document) -> bool:
    """Its user took it off the list: it was there by our own doing, or by what is known over there."""
    rule = wanted.get("ifAbsent", "create")
    if rule == "recreate":
        return False
    return not seen["removed"] if seen else rule == "leave"


def _update(ctx: Context, rows: list[Document], change: Document) -> None:
    _touch(ctx, rows, change)
    kept, *twins = rows
    for twin in twins:
        _drop_twin(ctx, twin, kept)
    ctx.tables.patch("sandboxes", kept["_id"], _differences(kept, change["row"]))


def _create(ctx: Context, change: Document, seen: Document | None) -> None:
    fields = {key: value for key, value in change["row"].items() if key not in RULES | {"harnessId"}}
    link = {"userId": change["userId"], "daytonaSandboxId": change["daytonaSandboxId"]}
    is_first = bool(change.get("firstCreation")) and seen is None
    harness = _free_harness(ctx, change["row"].get("harnessId"), change["userId"]) if is_first else None
    if harness is not None:
        fields["harnessId"] = harness["_id"]
    row_id = ctx.tables.insert(
        "sandboxes", fields | link | {"lastAccessedAt": change.get("lastAccessedAt")}, now=ctx.now
    )
    if harness is not None:
        pointer = {"sandboxId": row_id, "daytonaSandboxId": change["daytonaSandboxId"]}
        ctx.tables.patch("harnesses", harness["_id"], pointer)


def _free_harness(ctx: Context, harness_id: str | None, user: str) -> Document | None:
    harness = ctx.tables.get("harnesses", harness_id)
    if harness is None or harness["userId"] != user:
        return None
    daytona_id = harness.get("daytonaSandboxId")
    is_linked = ctx.tables.get("sandboxes", harness.get("sandboxId")) or (
        daytona_id is not None and _by(ctx, "sandboxes.by_daytona_id", daytona_id)
    )
    return None if is_linked else harness


def _linked_or_not(ctx: Context, change: Document) -> Document:
    harness_id = (change["row"] or {}).get("harnessId")
    if not change.get("firstCreation") or harness_id is None:
        return {}
    rows = _by(ctx, "sandboxes.by_daytona_id", change["daytonaSandboxId"])
    return {"harnessLinked": bool(rows) and rows[0].get("harnessId") == harness_id}


def _drop_twin(ctx: Context, twin: Document, kept: Document) -> None:
    for table in ("harnesses", "workspaces"):
        for row in _by(ctx, f"{table}.by_user", twin["userId"]):
            if row.get("sandboxId") == twin["_id"]:
                ctx.tables.patch(table, row["_id"], {"sandboxId": kept["_id"]})
    ctx.tables.delete("sandboxes", twin["_id"])


def _remove(ctx: Context, rows: list[Document], change: Document) -> None:
    ids = {row["_id"] for row in rows}
    for harness in _by(ctx, "harnesses.by_user", change["userId"]):
        linked = harness.get("daytonaSandboxId") == change["daytonaSandboxId"]
        if linked or harness.get("sandboxId") in ids:
            unlinked = {"sandboxEnabled": False, "sandboxId": None, "daytonaSandboxId": None}
            ctx.tables.patch("harnesses", harness["_id"], unlinked)
    for workspace in _by(ctx, "workspaces.by_user", change["userId"]):
        if workspace.get("sandboxId") in ids:
            ctx.tables.patch("workspaces", workspace["_id"], {"sandboxId": None})
    for row_id in ids:
        ctx.tables.delete("sandboxes", row_id)


def _touch(ctx: Context, rows: list[Document], change: Document) -> None:
    at = max([change.get("lastAccessedAt") or 0.0, *(row.get("lastAccessedAt", 0.0) for row in rows[1:])])
    if rows and at > rows[0].get("lastAccessedAt", 0.0):
        ctx.tables.patch("sandboxes", rows[0]["_id"], {"lastAccessedAt": at})


def _remember(ctx: Context, seen: Document | None, change: Document) -> None:
    entry = {key: change[key] for key in ("daytonaSandboxId", "sandboxId", "revision")}
    entry["removed"] = change["row"] is None
    if seen is None:
        ctx.tables.insert("sandkeeperRevisions", entry, now=ctx.now)
    else:
        ctx.tables.patch("sandkeeperRevisions", seen["_id"], entry)


def _differences(row: Document, wanted: Document) -> Document:
    """What a patch must set; None clears the field. All else was said when the row was created."""
    fields = {"status": wanted["status"]}
    if wanted.get("rename", True):
        fields["name"] = wanted["name"]
    if "errorMessage" in wanted:
        fields["errorMessage"] = wanted["errorMessage"]
    elif row.get("errorMessage") in wanted.get("takeBack", ()):
        fields["errorMessage"] = None
    return {key: value for key, value in fields.items() if row.get(key) != value}


def _already_says(rows: list[Document], wanted: Document | None) -> bool:
    if wanted is None:
        return not rows
    return len(rows) == 1 and not _differences(rows[0], wanted)


def _listed(ctx: Context, row: Document) -> Document:
    shown = {key: row[key] for key in SHOWN if key in row}
    seen = _revision_of(ctx, row["daytonaSandboxId"])
    return shown | ({"sandboxId": seen["sandboxId"], "revision": seen["revision"]} if seen else {})


def _revision_of(ctx: Context, daytona_id: str) -> Document | None:
    found = _by(ctx, "sandkeeperRevisions.by_daytona_id", daytona_id)
    return found[0] if found else None


def _by(ctx: Context, index: str, value: str) -> list[Document]:
    """What an index finds; without that index Convex ends the function."""
    if index in ctx.lacks:
        raise UserError(f"Index {index} not found.")
    return ctx.tables.by(index.partition(".")[0], NEEDED[index], value)
