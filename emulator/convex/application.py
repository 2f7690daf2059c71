"""The application's public functions: what its users do themselves, the same in all three published sets.

Whoever calls without an identity is told nothing (queries) or refused (mutations). None of them asks Daytona:
`sandboxes:remove` takes the row away and leaves the sandbox where it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.convex.functions import Context, Function, UserError
from emulator.convex.harness import (
    NEW_ROW,
    NEW_ROW_OPTIONAL,
    STATUS,
    refuse_over_cap,
    unlink_harnesses,
)
from emulator.convex.validators import NUMBER, STRING, Id, Object

if TYPE_CHECKING:
    from emulator.convex.tables import Document


def functions(published: str) -> list[Function]:
    sandbox, harness = Object({"id": Id("sandboxes")}), Object({"id": Id("harnesses")})
    new = Object(NEW_ROW, NEW_ROW_OPTIONAL | {"snapshotId": STRING, "gitRepo": STRING})
    changes = {"status": STATUS, "name": STRING, "errorMessage": STRING, "lastAccessedAt": NUMBER}
    create = create_capped if published == "main" else create_row
    return [
        Function("sandboxes:list", "Query", list_rows, public=True),
        Function("sandboxes:get", "Query", get_row, sandbox, public=True),
        Function(
            "sandboxes:getByHarness", "Query", get_by_harness, Object({"harnessId": Id("harnesses")}), public=True
        ),
        Function("sandboxes:create", "Mutation", create, new, public=True),
        Function("sandboxes:update", "Mutation", update_row, Object(sandbox.required, changes), public=True),
        Function("sandboxes:remove", "Mutation", remove_row, sandbox, public=True),
        Function("harnesses:list", "Query", list_harnesses, public=True),
        Function("harnesses:get", "Query", get_harness, harness, public=True),
    ]


def list_rows(ctx: Context, args: dict[str, Any]) -> list[Document]:
    return ctx.tables.by("sandboxes", "userId", ctx.subject) if ctx.subject else []


def get_row(ctx: Context, args: dict[str, Any]) -> Document | None:
    return _own(ctx, "sandboxes", args["id"])


def get_by_harness(ctx: Context, args: dict[str, Any]) -> Document | None:
    """The first row alone is looked at: somebody else's hides the user's own behind it."""
    rows = ctx.tables.by("sandboxes", "harnessId", args["harnessId"])
    return _own(ctx, "sandboxes", rows[0]["_id"]) if rows else None


def list_harnesses(ctx: Context, args: dict[str, Any]) -> list[Document]:
    return ctx.tables.by("harnesses", "userId", ctx.subject) if ctx.subject else []


def get_harness(ctx: Context, args: dict[str, Any]) -> Document | None:
    return _own(ctx, "harnesses", args["id"])


def create_capped(ctx: Context, args: dict[str, Any]) -> str:
    refuse_over_cap(ctx, _user(ctx))
    return create_row(ctx, args)


def create_row(ctx: Context, args: dict[str, Any]) -> str:
    """Unlike `createInternal` it links a harness of the user's own only."""
    user = _user(ctx)
    times = {"createdAt": ctx.now, "lastAccessedAt": ctx.now}
    row_id = ctx.tables.insert("sandboxes", args | times | {"userId": user}, now=ctx.now)
    harness = _own(ctx, "harnesses", args.get("harnessId"))
    if harness:
        link = {"sandboxId": row_id, "daytonaSandboxId": args["daytonaSandboxId"]}
        ctx.tables.patch("harnesses", harness["_id"], link)
    return row_id


def update_row(ctx: Context, args: dict[str, Any]) -> None:
    row = _own_or_refused(ctx, args["id"])
    changes = {name: value for name, value in args.items() if name != "id"}
    ctx.tables.patch("sandboxes", row["_id"], changes)
    ctx.accepted.append((row["daytonaSandboxId"], args))


def remove_row(ctx: Context, args: dict[str, Any]) -> None:
    row = _own_or_refused(ctx, args["id"])
    unlink_harnesses(ctx, row)
    ctx.tables.delete("sandboxes", row["_id"])
    ctx.accepted.append((row["daytonaSandboxId"], args))


def _user(ctx: Context) -> str:
    if ctx.subject is None:
        raise UserError("Unauthenticated")
    return ctx.subject


def _own(ctx: Context, table: str, row_id: str | None) -> Document | None:
    row = ctx.tables.get(table, row_id)
    return row if row is not None and row["userId"] == ctx.subject else None


def _own_or_refused(ctx: Context, row_id: str) -> Document:
    _user(ctx)
    row = _own(ctx, "sandboxes", row_id)
    if row is None:
        raise UserError("Not found")
    return row
