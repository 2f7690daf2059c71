"""The twin of convex/sandkeeper.ts: `sandkeeper:apply` and `sandkeeper:list`.

convex/cases.json holds the cases that both must pass.
"""

from __future__ import annotations

from typing import Any

from emulator.convex.functions import Context, ConvexError, Function
from emulator.convex.harness import RESOURCES, STATUS
from emulator.convex.tables import Row
from emulator.convex.validators import BOOLEAN, NULL, NUMBER, STRING, Array, Object, Union, literals

MAX_CHANGES = 100
PAGE = 200
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
    {"lastAccessedAt": NUMBER, "row": Union((WANTED_ROW, NULL))},
)


def functions() -> list[Function]:
    page = Object({"cursor": Union((STRING, NULL))}, {"limit": NUMBER})
    return [
        Function("sandkeeper:apply", "Mutation", apply, Object({"changes": Array(CHANGE)})),
        Function("sandkeeper:list", "Query", list_rows, page),
    ]


def apply(ctx: Context, args: dict[str, Any]) -> list[Row]:
    changes = args["changes"]
    if len(changes) > MAX_CHANGES:
        message = f"{len(changes)} changes in one call; send at most {MAX_CHANGES}."
        raise ConvexError({"code": "too_many_changes", "message": message})
    return [_apply_one(ctx, change) for change in changes]


def list_rows(ctx: Context, args: dict[str, Any]) -> Row:
    rows = ctx.tables.all("sandboxes")
    start = int(args["cursor"] or 0)
    end = start + int(args.get("limit", PAGE))
    page = [_listed(ctx, row) for row in rows[start:end]]
    return {"rows": page, "cursor": str(end) if end < len(rows) else None}


def _apply_one(ctx: Context, change: Row) -> Row:
    daytona_id = change["daytonaSandboxId"]
    seen = _revision_of(ctx, daytona_id)
    stored = seen["revision"] if seen else 0.0
    rows = ctx.tables.by("sandboxes", "daytonaSandboxId", daytona_id)

    def answer(outcome: str, revision: float) -> Row:
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
    harness = None
    if change["row"] is None:
        _remove(ctx, rows, change)
    else:
        harness = _upsert(ctx, rows, change)
    _remember(ctx, seen, change)
    return answer("applied", change["revision"]) | ({"harness": harness} if harness else {})


def _is_to_be_left(seen: Row | None, wanted: Row) -> bool:
    """Its user took it off the list: it was there by our own doing, or by what is known over there."""
    rule = wanted.get("ifAbsent", "create")
    if rule == "recreate":
        return False
    return not seen["removed"] if seen else rule == "leave"


def _upsert(ctx: Context, rows: list[Row], change: Row) -> str | None:
    if not rows:
        return _create(ctx, change)
    kept, *twins = rows
    for twin in twins:
        _drop_twin(ctx, twin, kept)
    ctx.tables.patch("sandboxes", kept["_id"], _differences(kept, change["row"]))
    _touch(ctx, rows, change)
    return None


def _create(ctx: Context, change: Row) -> str | None:
    wanted = change["row"]
    fields = {key: value for key, value in wanted.items() if key not in RULES | {"harnessId"}}
    link = {"userId": change["userId"], "daytonaSandboxId": change["daytonaSandboxId"]}
    harness = ctx.tables.get("harnesses", wanted.get("harnessId"))
    said = _may_link(ctx, harness, change) if "harnessId" in wanted else None
    if harness is not None and said == "linked":
        fields["harnessId"] = harness["_id"]
    row_id = ctx.tables.insert(
        "sandboxes", fields | link | {"lastAccessedAt": change.get("lastAccessedAt")}, now=ctx.now
    )
    if harness is not None and said == "linked":
        pointer = {"sandboxId": row_id, "daytonaSandboxId": change["daytonaSandboxId"]}
        ctx.tables.patch("harnesses", harness["_id"], pointer)
    return said


def _may_link(ctx: Context, harness: Row | None, change: Row) -> str:
    """A harness is linked once, and only by its owner: `not_theirs` and `taken` say why not."""
    if harness is None or harness["userId"] != change["userId"]:
        return "not_theirs"
    by_id = harness.get("daytonaSandboxId")
    linked = ctx.tables.get("sandboxes", harness.get("sandboxId")) is not None
    linked = linked or bool(by_id and ctx.tables.by("sandboxes", "daytonaSandboxId", by_id))
    return "taken" if linked else "linked"


def _drop_twin(ctx: Context, twin: Row, kept: Row) -> None:
    for table in ("harnesses", "workspaces"):
        for row in ctx.tables.by(table, "userId", twin["userId"]):
            if row.get("sandboxId") == twin["_id"]:
                ctx.tables.patch(table, row["_id"], {"sandboxId": kept["_id"]})
    ctx.tables.delete("sandboxes", twin["_id"])


def _remove(ctx: Context, rows: list[Row], change: Row) -> None:
    ids = {row["_id"] for row in rows}
    for harness in ctx.tables.by("harnesses", "userId", change["userId"]):
        linked = harness.get("daytonaSandboxId") == change["daytonaSandboxId"]
        if linked or harness.get("sandboxId") in ids:
            unlinked = {"sandboxEnabled": False, "sandboxId": None, "daytonaSandboxId": None}
            ctx.tables.patch("harnesses", harness["_id"], unlinked)
    for workspace in ctx.tables.by("workspaces", "userId", change["userId"]):
        if workspace.get("sandboxId") in ids:
            ctx.tables.patch("workspaces", workspace["_id"], {"sandboxId": None})
    for row_id in ids:
        ctx.tables.delete("sandboxes", row_id)


def _touch(ctx: Context, rows: list[Row], change: Row) -> None:
    at = change.get("lastAccessedAt")
    if rows and at is not None and at > rows[0].get("lastAccessedAt", 0.0):
        ctx.tables.patch("sandboxes", rows[0]["_id"], {"lastAccessedAt": at})


def _remember(ctx: Context, seen: Row | None, change: Row) -> None:
    entry = {key: change[key] for key in ("daytonaSandboxId", "sandboxId", "revision")}
    entry["removed"] = change["row"] is None
    if seen is None:
        ctx.tables.insert("sandkeeperRevisions", entry, now=ctx.now)
    else:
        ctx.tables.patch("sandkeeperRevisions", seen["_id"], entry)


def _differences(row: Row, wanted: Row) -> Row:
    """What a patch must set; None clears the field. All else was said when the row was created."""
    fields = {"status": wanted["status"]}
    if wanted.get("rename", True):
        fields["name"] = wanted["name"]
    if "errorMessage" in wanted:
        fields["errorMessage"] = wanted["errorMessage"]
    elif row.get("errorMessage") in wanted.get("takeBack", ()):
        fields["errorMessage"] = None
    return {key: value for key, value in fields.items() if row.get(key) != value}


def _already_says(rows: list[Row], wanted: Row | None) -> bool:
    if wanted is None:
        return not rows
    return len(rows) == 1 and not _differences(rows[0], wanted)


def _listed(ctx: Context, row: Row) -> Row:
    shown = {key: row[key] for key in SHOWN if key in row}
    seen = _revision_of(ctx, row["daytonaSandboxId"])
    return shown | ({"sandboxId": seen["sandboxId"], "revision": seen["revision"]} if seen else {})


def _revision_of(ctx: Context, daytona_id: str) -> Row | None:
    found = ctx.tables.by("sandkeeperRevisions", "daytonaSandboxId", daytona_id)
    return found[0] if found else None
