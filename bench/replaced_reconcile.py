"""The sweep of the application that this one replaces, re-implemented faithfully, to be measured beside ours.

For each owner: ask Convex for their rows; GET every sandbox, all at once; skip rows in transition; write each
difference to Convex with a call of its own; a 404 becomes `archived`. Run by bench/reconcile.py as a process of
its own; prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import Any

import httpx

SKIPPED = {"creating", "starting", "stopping"}
STATUS = {
    "started": "running", "running": "running", "starting": "starting", "stopping": "stopping",
    "stopped": "stopped", "archived": "archived", "creating": "creating", "error": "error",
    "destroyed": "archived", "archiving": "stopping", "pending_build": "creating",
    "building_snapshot": "creating", "forking": "creating", "pulling_snapshot": "starting",
    "restoring": "starting", "resizing": "starting", "snapshotting": "running", "destroying": "stopping",
    "build_failed": "error",
}  # fmt: skip


class Replaced:
    """`reconcileSandboxStatuses` for many owners; `side_by_side` of them at a time."""

    def __init__(self, daytona: httpx.AsyncClient, convex: httpx.AsyncClient) -> None:
        self._daytona = daytona
        self._convex = convex
        self.checked = self.updated = self.errors = 0

    async def all(self, owners: list[str], side_by_side: int) -> None:
        for start in range(0, len(owners), side_by_side):
            await asyncio.gather(*(self.owner(owner) for owner in owners[start : start + side_by_side]))

    async def owner(self, owner: str) -> None:
        rows = await self._call("query", "sandboxes:listForReconcile", userId=owner)
        await asyncio.gather(*(self.row(row) for row in rows if row["status"] not in SKIPPED))

    async def row(self, row: dict[str, Any]) -> None:
        self.checked += 1
        key = row["daytonaSandboxId"]
        answer = await self._daytona.get(f"/sandbox/{key}")
        if answer.status_code == 404:
            status: str | None = "archived"
        elif answer.is_success:
            status = STATUS.get(answer.json()["state"])
        else:
            self.errors += 1
            return
        if status is not None and status != row["status"]:
            await self._call("mutation", "sandboxes:updateStatus", daytonaSandboxId=key, status=status)
            self.updated += 1

    async def _call(self, kind: str, path: str, **args: Any) -> Any:
        answer = await self._convex.post(f"/api/{kind}", json={"path": path, "args": args, "format": "json"})
        return answer.json()["value"]


async def run(options: argparse.Namespace) -> dict[str, Any]:
    owners = [f"user_{number}" for number in range(options.owners)]
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    keys = [f"Bearer {options.daytona_key}", f"Convex {options.convex_key}"]
    clients = [
        httpx.AsyncClient(base_url=url, headers={"Authorization": key}, limits=limits, timeout=60)
        for url, key in zip([options.daytona_url, options.convex_url], keys, strict=True)
    ]
    replaced = Replaced(*clients)
    began = time.perf_counter()
    await replaced.all(owners, options.side_by_side)
    seconds = time.perf_counter() - began
    for client in clients:
        await client.aclose()
    return {"seconds": seconds, "checked": replaced.checked, "updated": replaced.updated, "errors": replaced.errors}


def main() -> None:
    parser = argparse.ArgumentParser(description="Sweep as the replaced application did.")
    for name in ("--daytona-url", "--daytona-key", "--convex-url", "--convex-key"):
        parser.add_argument(name, required=True)
    parser.add_argument("--owners", type=int, required=True)
    parser.add_argument("--side-by-side", type=int, default=1)
    print(json.dumps(asyncio.run(run(parser.parse_args()))))


if __name__ == "__main__":
    main()
