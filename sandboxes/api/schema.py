"""The OpenAPI document as a whole: names, tags, security, and what drf-spectacular cannot know."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from threading import Lock
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema

_building = Lock()


class ViewSchema(AutoSchema):
    """Tags and operation ids out of the path: `post_sandboxes_start`, `get_sandboxes_by_id`."""

    def get_operation_id(self) -> str:
        parts = self.path.removeprefix("/api/v1/").split("/")
        words = [part for part in parts if not part.startswith("{")] + (
            ["by_id"] if parts[-1].startswith("{") else []
        )
        return "_".join([self.method.lower(), *words]).replace("-", "_")

    def get_tags(self) -> list[str]:
        return [self.path.removeprefix("/api/v1/").split("/")[0]]


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = "sandboxes.api.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A service key (`sandkeeper_…`) or an end user's OIDC token.",
        }


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "sandboxes.api.authentication.StaffSessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "Staff, by the admin.",
        }


def finish(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Bodies that are refused for unknown fields say so."""
    for name, schema in result.get("components", {}).get("schemas", {}).items():
        if name.endswith("Request"):
            schema["additionalProperties"] = False
    return result


def published() -> tuple[bytes, str]:
    """The schema as JSON, and its entity tag; built once per process.

    By one thread, while the others wait: it takes 0.2 s, and drf-spectacular fails when several build at once.
    """
    with _building:
        return document()


@cache
def document() -> tuple[bytes, str]:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    content = json.dumps(schema, ensure_ascii=False).encode()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'
