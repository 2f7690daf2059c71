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

from sandboxes.api import deprecated, problems

_building = Lock()


VERBS = {"GET": "get", "POST": "create", "PATCH": "change", "DELETE": "delete"}
TAGS = {
    "about": "Which Sandkeeper answers.",
    "capacity": "What is in use, and who would be stopped for room.",
    "events": "The feed of all that happens.",
    "operations": "What was asked for, in flight or finished.",
    "owners": "What an owner has, and may have.",
    "policies": "What is done to sandboxes after a time.",
    "problems": "Every code that an error may have.",
    "sandboxes": "Sandboxes, and what can be asked of them.",
    "webhooks": "Who is told of events, and what could not be told.",
}
# Their values may become more within v1; every other enum is closed.
OPEN_ENUMS = {
    "Cause": "take it for `system`.",
    "EventType": "ignore the event, but merge its `changes`.",
    "OperationAction": "show it as it is.",
    "PolicyRule": "show it as it is.",
    "PolicyScope": "show it as it is.",
    "ProblemCode": "go by its HTTP status.",
    "RequestableAction": "do not offer it.",
    "RuleEnum": "show it as it is.",
    "Source": "show it as it is.",
    "ScopeEnum": "show it as it is.",
    "TierEnum": "another installation has it.",
    "TypesEnum": "events of it come only where it is asked for.",
}


class ViewSchema(AutoSchema):
    """Tags and operation ids out of the path: `start_sandbox`, `list_sandbox_events`."""

    def get_operation_id(self) -> str:
        return operation_id(self.method, self.path)

    def get_tags(self) -> list[str]:
        return [self.path.removeprefix("/api/v1/").split("/")[0]]


def operation_id(method: str, path: str) -> str:
    """What clients call it. A POST that ends in a verb is named by that: `/sandboxes/{id}/start`."""
    *before, last = path.removeprefix("/api/v1/").replace("-", "_").split("/")
    owned = [_singular(word) for word in before if not word.startswith("{")]
    if last.startswith("{"):
        words = [VERBS[method], *owned]
    elif method == "POST" and (before and not last.endswith("s")):
        words = [last, *owned] if before[-1].startswith("{") else [last, *before]
    elif method == "GET" and last.endswith("s"):
        words = ["list", *owned, last]
    else:
        words = [VERBS[method], *owned, _singular(last)]
    return "_".join(words)


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return f"{word.removesuffix('ies')}y"
    return word.removesuffix("es") if word.endswith("xes") else word.removesuffix("s")


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
    """Bodies that are refused for unknown fields say so, enums whether they may grow; what recurs stands once."""
    schemas = result["components"]["schemas"]
    for name, schema in schemas.items():
        if name.endswith("Request"):
            schema["additionalProperties"] = False
    for name, unknown in OPEN_ENUMS.items():
        schemas[name]["x-extensible-enum"] = schemas[name].pop("enum")
        schemas[name]["description"] = f"More values may come. One that you do not know: {unknown}"
    operations = [one for methods in result["paths"].values() for one in methods.values()]
    _describe_path_parameters(operations)
    _write_null_plainly(result, schemas)
    _share(operations, result["components"])
    deprecated.mark(result["paths"])
    result["tags"] = [
        {"name": tag, "description": TAGS.get(tag, f"{tag.capitalize()}.")}
        for tag in sorted({tag for operation in operations for tag in operation["tags"]})
    ]
    return result


def _describe_path_parameters(operations: list[dict[str, Any]]) -> None:
    """`operation_id` is the operation's id, unless its view says more."""
    for one in (one for operation in operations for one in operation.get("parameters", [])):
        if one["in"] == "path":
            one.setdefault("description", f"The {one['name'].removesuffix('_id')}'s id.")


def _write_null_plainly(node: Any, schemas: dict[str, Any]) -> None:
    """`type: null` in place of the enum of one value that drf-spectacular makes."""
    schemas.pop("NullEnum", None)
    found = [node]
    while found:
        one = found.pop()
        if isinstance(one, dict):
            if one.get("$ref") == "#/components/schemas/NullEnum":
                one.clear()
                one["type"] = "null"
            found += one.values()
        elif isinstance(one, list):
            found += one


def _share(operations: list[dict[str, Any]], components: dict[str, Any]) -> None:
    """Headers, and examples of problems, are written once and referred to: else they are nine tenths of it all."""
    for operation in operations:
        parameters = operation.get("parameters", [])
        parameters[:] = [
            _shared(one["name"], one, components, "parameters") if one["in"] == "header" else one
            for one in parameters
        ]
        for response in operation["responses"].values():
            _share_all(response.get("headers", {}), components, "headers")
            for media_type, content in response.get("content", {}).items():
                if media_type == problems.MEDIA_TYPE:
                    _share_all(content["examples"], components, "examples")


def _share_all(named: dict[str, Any], components: dict[str, Any], kind: str) -> None:
    for name, one in named.items():
        named[name] = _shared(name, one, components, kind)


def _shared(name: str, one: dict[str, Any], components: dict[str, Any], kind: str) -> dict[str, Any]:
    """A reference to it among the components; itself where another one has its name there."""
    first = components.setdefault(kind, {}).setdefault(name, one)
    return {"$ref": f"#/components/{kind}/{name}"} if first == one else one


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
    # Weak: it is the same document, compressed or not.
    return content, f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'
