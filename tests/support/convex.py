"""Convex's side of the emulator for tests: raw calls with the deploy key, and rows."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx

from tests.support.emulator import CONVEX_KEY, Emulator


def post(
    emulator: Emulator, path: str, body: Any, *, key: str | None = CONVEX_KEY, **headers: str
) -> httpx.Response:
    """One raw request; `key` None sends no Authorization."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if key is not None:
        given.setdefault("Authorization", f"Convex {key}")
    content = {"content": body} if isinstance(body, bytes | str) else {"json": body}
    return httpx.post(f"{emulator.convex_url}{path}", headers=given, verify=False, **content)


def call(emulator: Emulator, function: str, *, kind: str = "mutation", **args: Any) -> dict[str, Any]:
    """The envelope of one call with the full key."""
    response = post(emulator, f"/api/{kind}", {"path": function, "args": args})
    assert response.status_code == 200, response.text
    return dict(response.json())


def acting_as(user: str, *, key: str = CONVEX_KEY, **claims: str) -> str:
    """What stands in the place of the key when the call is made as that user."""
    identity = {"subject": user, "issuer": "https://id.example.com"} | claims
    return f"{key}:{base64.b64encode(json.dumps(identity).encode()).decode()}"


def call_as(emulator: Emulator, user: str, function: str, *, kind: str = "mutation", **args: Any) -> dict[str, Any]:
    """The envelope of one call that a signed-in user makes: the public functions know whose rows are whose."""
    response = post(emulator, f"/api/{kind}", {"path": function, "args": args}, key=acting_as(user))
    assert response.status_code == 200, response.text
    return dict(response.json())


def value_of(envelope: dict[str, Any]) -> Any:
    assert envelope["status"] == "success", envelope
    return envelope["value"]


def only_our_own(emulator: Emulator) -> None:
    """The deployment as it is when the application's internal functions were deleted."""
    spec = value_of(call(emulator, "_system/cli/modules:apiSpec", kind="query"))
    left = [entry for entry in spec if entry.get("identifier", "").startswith("sandkeeper")]
    assert left
    assert left != spec
    answer = {"status": "success", "value": left}
    emulator.faults.add("status", system="convex", body="apiSpec", status=200, answer=answer)
    emulator.faults.add("status", system="convex", body='"sandboxes:', status=404)


def seed(emulator: Emulator, **tables: list[dict[str, Any]]) -> dict[str, str]:
    """Put rows there; `"$name"` as `_id` names a row, anywhere else it stands for it. Returns ids by name."""
    response = emulator.control.post("/convex/rows", json=tables)
    assert response.status_code == 200, response.text
    return dict(response.json()["ids"])


def rows(emulator: Emulator, daytona_id: str) -> list[dict[str, Any]]:
    """The sandbox's rows, oldest first."""
    response = emulator.control.get("/convex/rows", params={"daytonaSandboxId": daytona_id})
    return list(response.json()["sandboxes"])


def forget(emulator: Emulator, daytona_id: str) -> None:
    """The sandbox's rows vanish behind everybody's back."""
    emulator.control.delete("/convex/rows", params={"daytonaSandboxId": daytona_id})


def sandbox_row(daytona_id: str = "d1", **fields: Any) -> dict[str, Any]:
    return {
        "userId": "user_ada",
        "daytonaSandboxId": daytona_id,
        "name": "box",
        "status": "running",
        "ephemeral": False,
        "resources": {"cpu": 1, "memoryGB": 1, "diskGB": 3},
        "createdAt": 1000,
    } | fields
