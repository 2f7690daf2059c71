"""The OpenAPI document for tests: what it shares among its answers, in each place where it is referred to."""

from __future__ import annotations

from typing import Any

SHARED = ("examples", "headers", "parameters")


def without_references(document: dict[str, Any]) -> dict[str, Any]:
    """A copy with every example, header and parameter where it is referred to; schemas stay references."""
    return {name: _put_in(part, document["components"]) for name, part in document.items()}


def _put_in(node: Any, components: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_put_in(one, components) for one in node]
    if not isinstance(node, dict):
        return node
    parts = str(node.get("$ref", "")).split("/")
    if len(parts) == 4 and parts[2] in SHARED:
        return components[parts[2]][parts[3]]
    return {name: _put_in(one, components) for name, one in node.items()}
