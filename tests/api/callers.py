"""Those who call the API in tests, each as a client with their credentials."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

from django.test import Client

from sandboxes.models import ServiceKey
from sandboxes.services import keys

if TYPE_CHECKING:
    from collections.abc import Iterable

ALL = (ServiceKey.Scope.READ, ServiceKey.Scope.WRITE, ServiceKey.Scope.USE)
V1 = "/api/v1"


class Api:
    """A caller. Paths are below /api/v1; bodies are JSON; errors are answers, not exceptions."""

    def __init__(self, *, client: Client | None = None, **headers: str) -> None:
        self.client = client or Client()
        self.client.raise_request_exception = False
        self.headers = headers

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """`Idempotency_Key="x"` sends the header Idempotency-Key."""
        sent = {name.replace("_", "-"): value for name, value in {**self.headers, **headers}.items()}
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.generic(method, f"{V1}{path}", data, content_type="application/json", headers=sent)

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.call("DELETE", path, **headers)


def program(owner: str | None = "alice", *, scopes: Iterable[str] = ALL, **options: Any) -> Api:
    """A program with a fresh key, acting for an owner."""
    _, plaintext = keys.create_key(f"program {uuid4()}", scopes=scopes, **options)
    named: dict[str, Any] = {"X_On_Behalf_Of": quote(owner)} if owner else {}
    return Api(Authorization=f"Bearer {plaintext}", **named)


def signed_in(account: Any, *, csrf: bool = False) -> Api:
    """A member of staff in a browser."""
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(account)
    return Api(client=client)


def problem(response: Any, code: str) -> dict[str, Any]:
    """The problem of this code that the response is."""
    found: dict[str, Any] = json.loads(response.content)
    assert found.get("code") == code, found
    return found
