"""`/_emulator/convex/rows`: what tests put into the tables and read from them.

The settings `convex` and `convex_keys` (published set, own functions, state, redaction, keys) are changed
with `PATCH /_emulator/settings`; faults and the log are those of the whole emulator.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.routing import Route

from emulator.convex.values import decode

if TYPE_CHECKING:
    from starlette.requests import Request

    from emulator.convex.deployment import Deployment


class Control:
    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment

    def routes(self) -> list[Route]:
        path = "/_emulator/convex/rows"
        return [
            Route(path, self.read, methods=["GET"]),
            Route(path, self.seed, methods=["POST"]),
            Route(path, self.clear, methods=["DELETE"]),
        ]

    async def read(self, request: Request) -> JSONResponse:
        """`?table=sandboxes` for one table, `&daytonaSandboxId=…` for one sandbox's rows."""
        daytona_id = request.query_params.get("daytonaSandboxId")
        if daytona_id is not None:
            return _answer({"sandboxes": self.deployment.tables.by("sandboxes", "daytonaSandboxId", daytona_id)})
        return _answer(self.deployment.rows(request.query_params.get("table")))

    async def seed(self, request: Request) -> JSONResponse:
        """`{"sandboxes": [row, …], "harnesses": […]}`; answers `{"ids": {"$name": id}}`."""
        return _answer({"ids": self.deployment.seed(decode(json.loads(await request.body())))})

    async def clear(self, request: Request) -> JSONResponse:
        """Every row of every table, or with `?daytonaSandboxId=…` the rows of that sandbox."""
        daytona_id = request.query_params.get("daytonaSandboxId")
        if daytona_id is None:
            self.deployment.clear()
            return _answer({})
        return _answer({"deleted": self.deployment.delete(daytona_id)})


def _answer(body: Any) -> JSONResponse:
    return JSONResponse(body)
