"""The drop-in for the application: its agents get the 409 that they know, its server functions do what they did."""

from __future__ import annotations

import asyncio
import json
import runpy
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sandkeeper_client import NotFound
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.support.environment import ROOT

if TYPE_CHECKING:
    from starlette.requests import Request

    from tests.e2e.conftest import Installation

GATE = ROOT / "clients" / "application" / "sandbox_gate.py"


def service(gate: dict[str, Any], owner: str) -> Starlette:
    """The application's service as far as it matters: a tool's route, and its handler of the error."""

    def tool(request: Request) -> JSONResponse:
        ready = gate["ensure_running"](request.path_params["id"], owner)
        return JSONResponse({"ran_in": ready["daytona_id"]})

    def refused(_: Request, error: Any) -> JSONResponse:
        return JSONResponse(error.as_body(), status_code=409)

    handlers = {gate["SandboxStoppedByUserError"]: refused}
    return Starlette(routes=[Route("/tool/{id}", tool)], exception_handlers=handlers)


def ask(app: Starlette, path: str) -> httpx.Response:
    async def get() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
            return await client.get(path)

    return asyncio.run(get())


def test_an_agent_is_refused_in_the_words_that_it_knows(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANDKEEPER_URL", str(installation.http.base_url))
    monkeypatch.setenv("SANDKEEPER_KEY", installation.key)
    gate = runpy.run_path(str(GATE))
    box = installation.created(name="atlas")
    agent = service(gate, installation.owner)
    tool = f"/tool/{box['daytona_id']}"
    assert ask(agent, tool).json() == {"ran_in": box["daytona_id"]}
    installation.do(installation.post(f"/sandboxes/{box['id']}/stop", {"reason": "lunch"}))
    answer = ask(agent, tool)
    assert answer.status_code == 409
    assert set(answer.json()) == {"code", "message", "sandbox_status"}
    assert (answer.json()["code"], answer.json()["sandbox_status"]) == ("sandbox_stopped_by_user", "stopped")
    assert "lunch" in answer.json()["message"]
    assert answer.json()["message"].endswith("Start it from the sandboxes page to continue.")
    with pytest.raises(gate["SandboxStoppedByUserError"]) as refused:
        gate["ensure_running"](box["id"], installation.owner)
    assert json.loads(refused.value.as_tool_result()) == {"type": "error", **answer.json()}
    gate["touch"](box["id"], installation.owner)
    with pytest.raises(NotFound):
        gate["ensure_running"](box["id"], "somebody else")
    gate["client"]().close()
