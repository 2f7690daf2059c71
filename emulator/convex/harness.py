"""The internal `sandboxes:*` functions of the application, as each of its three published sets has them.

| function                       | first | second | main |
|--------------------------------|-------|--------|------|
| createInternal                 | yes   | yes    | yes, with the cap of 5 |
| getOwnerByDaytonaId            | yes   | yes    | yes  |
| updateStatus                   | clears errorMessage | clears it | never clears it |
| updateMetadataInternal         | yes   | yes    | -    |
| touchSandboxInternal           | yes   | yes    | -    |
| listSiblingsByLastAccessed     | yes   | yes    | -    |
| removeByDaytonaIdInternal      | yes   | yes    | -    |
| getStatusByDaytonaId           | yes   | -      | -    |
| listForReconcile               | -     | yes    | -    |
| removeByDaytonaId, countForUser| -     | -      | yes  |

The public ones are in `application`. Their quirks are the application's, and on purpose: the index on
daytonaSandboxId is not unique and every function looks at the first row only, `updateStatus` moves
`lastAccessedAt`, `createInternal` links any harness without looking at its owner, and no removal touches a
workspace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from emulator.convex.functions import Context, ConvexError, Function
from emulator.convex.validators import BOOLEAN, NUMBER, STRING, Id, Object, literals

if TYPE_CHECKING:
    from emulator.convex.tables import Document

SETS = ("first", "second", "main")
CAP = 5
STATUS = literals("creating", "starting", "running", "stopping", "stopped", "archived", "error")
RESOURCES = Object({"cpu": NUMBER, "memoryGB": NUMBER, "diskGB": NUMBER})
DAYTONA_ID = Object({"daytonaSandboxId": STRING})
_NOT_EVICTABLE = {"stopped", "stopping", "archived"}
NEW_ROW = {
    "daytonaSandboxId": STRING,
    "name": STRING,
    "status": STATUS,
    "ephemeral": BOOLEAN,
    "resources": RESOURCES,
}
NEW_ROW_OPTIONAL = {"harnessId": Id("harnesses"), "language": STRING}

Handler = Callable[[Context, dict[str, Any]], Any]


def first_row(ctx: Context, args: dict[str, Any]) -> Document | None:
    rows = ctx.tables.by("sandboxes", "daytonaSandboxId", args["daytonaSandboxId"])
    return rows[0] if rows else None


def create_internal(ctx: Context, args: dict[str, Any]) -> str:
    row_id = ctx.tables.insert("sandboxes", args | {"createdAt": ctx.now, "lastAccessedAt": ctx.now}, now=ctx.now)
    harness = ctx.tables.get("harnesses", args.get("harnessId"))
    if harness:
        link = {"sandboxId": row_id, "daytonaSandboxId": args["daytonaSandboxId"]}
        ctx.tables.patch("harnesses", harness["_id"], link)
    return row_id


def create_internal_capped(ctx: Context, args: dict[str, Any]) -> str:
    refuse_over_cap(ctx, args["userId"])
    return create_internal(ctx, args)


def refuse_over_cap(ctx: Context, user: str) -> None:
    if len(ctx.tables.by("sandboxes", "userId", user)) >= CAP:
        raise ConvexError(
            {
                "code": "sandbox_limit_reached",
                "message": f"You've reached the limit of {CAP} sandboxes. "
                "Delete an existing sandbox before creating a new one.",
            }
        )


def get_owner(ctx: Context, args: dict[str, Any]) -> str | None:
    row = first_row(ctx, args)
    return row["userId"] if row else None


def get_status(ctx: Context, args: dict[str, Any]) -> str | None:
    row = first_row(ctx, args)
    return row["status"] if row else None


def list_for_reconcile(ctx: Context, args: dict[str, Any]) -> list[Document]:
    rows = ctx.tables.by("sandboxes", "userId", args["userId"])
    return [{"daytonaSandboxId": row["daytonaSandboxId"], "status": row["status"]} for row in rows]


def list_siblings(ctx: Context, args: dict[str, Any]) -> list[Document]:
    target = first_row(ctx, args)
    if target is None:
        return []
    rows = ctx.tables.by("sandboxes", "userId", target["userId"])
    others = [row for row in rows if row["_id"] != target["_id"] and row["status"] not in _NOT_EVICTABLE]
    return sorted(others, key=lambda row: row.get("lastAccessedAt", 0.0))


def count_for_user(ctx: Context, args: dict[str, Any]) -> float:
    return float(len(ctx.tables.by("sandboxes", "userId", args["userId"])))


def touch(ctx: Context, args: dict[str, Any]) -> None:
    row = first_row(ctx, args)
    if row:
        ctx.tables.patch("sandboxes", row["_id"], {"lastAccessedAt": ctx.now})


def update_status_keeping_message(ctx: Context, args: dict[str, Any]) -> None:
    row = first_row(ctx, args)
    if row is None:
        return
    changes = {"status": args["status"], "lastAccessedAt": ctx.now}
    if "errorMessage" in args:
        changes["errorMessage"] = args["errorMessage"]
    ctx.tables.patch("sandboxes", row["_id"], changes)


def update_status_clearing_message(ctx: Context, args: dict[str, Any]) -> None:
    update_status_keeping_message(ctx, args)
    row = first_row(ctx, args)
    if row and "errorMessage" not in args and args["status"] != "error":
        ctx.tables.patch("sandboxes", row["_id"], {"errorMessage": None})


def update_metadata(ctx: Context, args: dict[str, Any]) -> None:
    row = first_row(ctx, args)
    if row and "name" in args:
        ctx.tables.patch("sandboxes", row["_id"], {"name": args["name"]})


def remove_first_and_unlink(ctx: Context, args: dict[str, Any]) -> None:
    row = first_row(ctx, args)
    if row is None:
        return
    unlink_harnesses(ctx, row)
    ctx.tables.delete("sandboxes", row["_id"])


def unlink_harnesses(ctx: Context, row: Document) -> None:
    for harness in ctx.tables.by("harnesses", "userId", row["userId"]):
        linked = harness.get("daytonaSandboxId") == row["daytonaSandboxId"]
        if linked or harness.get("sandboxId") == row["_id"]:
            unlinked = {"sandboxEnabled": False, "sandboxId": None, "daytonaSandboxId": None}
            ctx.tables.patch("harnesses", harness["_id"], unlinked)


def remove_all(ctx: Context, args: dict[str, Any]) -> Document:
    rows = ctx.tables.by("sandboxes", "daytonaSandboxId", args["daytonaSandboxId"])
    for row in rows:
        ctx.tables.delete("sandboxes", row["_id"])
    return {"removed": len(rows) > 0}


def published(name: str) -> list[Function]:
    """The functions of one published set: `first`, `second` or `main`."""
    main = name == "main"
    user = Object({"userId": STRING})
    functions = [
        Function(
            "sandboxes:createInternal",
            "Mutation",
            create_internal_capped if main else create_internal,
            Object(NEW_ROW | {"userId": STRING}, NEW_ROW_OPTIONAL),
        ),
        Function("sandboxes:getOwnerByDaytonaId", "Query", get_owner, DAYTONA_ID),
        Function(
            "sandboxes:updateStatus",
            "Mutation",
            update_status_keeping_message if main else update_status_clearing_message,
            Object({"daytonaSandboxId": STRING, "status": STATUS}, {"errorMessage": STRING}),
        ),
    ]
    if main:
        return [
            *functions,
            Function("sandboxes:removeByDaytonaId", "Mutation", remove_all, DAYTONA_ID),
            Function("sandboxes:countForUser", "Query", count_for_user, user),
        ]
    renamed = Object({"daytonaSandboxId": STRING}, {"name": STRING})
    functions += [
        Function("sandboxes:updateMetadataInternal", "Mutation", update_metadata, renamed),
        Function("sandboxes:touchSandboxInternal", "Mutation", touch, DAYTONA_ID),
        Function("sandboxes:listSiblingsByLastAccessed", "Query", list_siblings, DAYTONA_ID),
        Function("sandboxes:removeByDaytonaIdInternal", "Mutation", remove_first_and_unlink, DAYTONA_ID),
    ]
    if name == "first":
        functions.append(Function("sandboxes:getStatusByDaytonaId", "Query", get_status, DAYTONA_ID))
    else:
        functions.append(Function("sandboxes:listForReconcile", "Query", list_for_reconcile, user))
    return functions
