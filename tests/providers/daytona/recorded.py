"""Every refusal and failure that the recordings hold, as (recording, operation, status, headers, message)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDINGS = Path(__file__).resolve().parents[2] / "contract" / "recordings"
LIFECYCLE = {"start", "stop", "archive", "recover"}
ROUTE = re.compile(r"(GET|POST|PUT|DELETE) (?:/api)?(/[^ ?]*)")


class Refusal(NamedTuple):
    recording: str
    operation: str
    status: int
    headers: dict[str, str]
    message: str

    def body(self) -> bytes:
        return json.dumps({"statusCode": self.status, "error": "", "message": self.message}).encode()


def refusals() -> list[Refusal]:
    found: list[Refusal] = []
    for path in sorted(RECORDINGS.glob("*.json")):
        content = json.loads(path.read_text())
        for entry in content["ops"] if isinstance(content, dict) else content:
            found += [Refusal(path.stem, *parts) for parts in _of_entry(entry)]
    return found


def operation_of(method: str, path: str) -> str:
    """The gateway's word for a route; the route itself where the gateway has none."""
    parts = [part for part in path.split("?")[0].split("/") if part and part != "api"]
    if parts == ["sandbox"]:
        return {"GET": "list_page", "POST": "create"}.get(method, f"{method} /sandbox")
    if len(parts) == 2 and parts[0] == "sandbox" and method in ("GET", "DELETE") and parts[1] != "paginated":
        return {"GET": "get", "DELETE": "delete"}[method]
    if len(parts) == 3 and parts[2] in LIFECYCLE:
        return parts[2]
    return {"labels": "replace_labels", "last-activity": "keep_alive"}.get(parts[-1], f"{method} {path}")


Parts = tuple[str, int, dict[str, str], str]


def _of_entry(entry: dict[str, Any]) -> Iterator[Parts]:
    request, route = entry.get("request"), ROUTE.search(entry.get("label", ""))
    operation = operation_of(*route.groups()) if route else "create"
    if request:
        operation = operation_of(request.get("method", "GET"), request["path"])
    for answer in [entry.get("response"), *(entry.get("responses") or [])]:
        if answer and answer.get("status", 0) >= 400:
            yield operation, answer["status"], answer.get("headers", {}), answer["body"]["message"]
    for outcome in entry.get("outcome") or []:
        if isinstance(outcome, list) and isinstance(outcome[0], int) and outcome[0] >= 400:
            yield ("start" if "starts" in entry["label"] else "create"), outcome[0], {}, outcome[1]
    yield from _of_sdk(entry)


def _of_sdk(entry: dict[str, Any]) -> Iterator[Parts]:
    """What the SDK raised, with its own words before Daytona's."""
    result = entry.get("result") or {}
    if isinstance(result, dict) and result.get("status_code"):
        method, path, *_ = entry["http_calls"][-1].split(" ")
        yield operation_of(method, path), result["status_code"], result["headers"], result["msg"]
