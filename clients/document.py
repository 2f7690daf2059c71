"""The OpenAPI document: as the code has it, as it is kept, and what breaks the programs that go by the kept one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Document = dict[str, Any]
KEPT = Path(__file__).resolve().parent / "openapi.json"


def kept() -> Document:
    return dict(json.loads(KEPT.read_text()))


def as_text(document: Document) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def breaking(old: Document, new: Document) -> list[str]:
    """What a program that was written by `old` trips over in `new`, a line each."""
    return [*_addresses(old, new), *_shapes(old, new)]


def operations(document: Document) -> dict[str, dict[str, Any]]:
    """Each method of each path, as `POST /api/v1/sandboxes`; parameters without references."""
    return {
        f"{method.upper()} {path}": one
        | {"parameters": [_resolved(p, document) for p in one.get("parameters", [])]}
        for path, methods in document["paths"].items()
        for method, one in methods.items()
    }


def _resolved(one: dict[str, Any], document: Document) -> dict[str, Any]:
    if "$ref" not in one:
        return one
    _, _, kind, name = one["$ref"].split("/")
    return dict(document["components"][kind][name])


def _addresses(old: Document, new: Document) -> Iterator[str]:
    now = operations(new)
    for where, before in operations(old).items():
        if where not in now:
            yield f"{where} is gone"
            continue
        after = now[where]
        if before["operationId"] != after["operationId"]:
            yield f"{where} is called {after['operationId']}, no longer {before['operationId']}"
        yield from (f"{where}: {words}" for words in _parameters(before["parameters"], after["parameters"]))
        yield from (f"{where}: {words}" for words in _bodies(before, after))


def _parameters(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> Iterator[str]:
    before, after = ({(one["in"], one["name"]): one for one in each} for each in (old, new))
    yield from (f"the parameter {name} is gone" for place, name in before.keys() - after.keys())
    for (place, name), one in after.items():
        known = before.get((place, name))
        if one.get("required") and not (known or {}).get("required"):
            yield f"the parameter {name} is required"
        if known:
            yield from _kind(f"the parameter {name}", known["schema"], one["schema"], is_sent=True)


def _bodies(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    yield from (f"it no longer answers {s}" for s in old["responses"] if s < "400" and s not in new["responses"])
    for status, one in old["responses"].items():
        for media_type, content in one.get("content", {}).items():
            after = new["responses"].get(status, {}).get("content", {}).get(media_type, {})
            if after and content["schema"] != after["schema"]:
                yield f"it answers {status} with another schema"
    if "requestBody" in old and "requestBody" not in new:
        yield "it takes no body any more"


def _shapes(old: Document, new: Document) -> Iterator[str]:
    before, after = old["components"]["schemas"], new["components"]["schemas"]
    for name, one in before.items():
        if name not in after:
            yield f"{name} is gone"
        else:
            yield from _shape(name, one, after[name], is_sent=name.endswith("Request"))


def _shape(name: str, old: dict[str, Any], new: dict[str, Any], *, is_sent: bool) -> Iterator[str]:
    yield from _kind(name, old, new, is_sent=is_sent)
    before, after = old.get("properties", {}), new.get("properties", {})
    yield from (f"{name}.{field} is gone" for field in before if field not in after)
    required, was_required = set(new.get("required", ())), set(old.get("required", ()))
    if is_sent:
        yield from (f"{name}.{field} is required" for field in sorted(required - was_required))
    else:
        yield from (f"{name}.{field} may be absent" for field in sorted(was_required - required) if field in after)
    for field in before:
        if field in after:
            yield from _kind(f"{name}.{field}", before[field], after[field], is_sent=is_sent)


def _kind(name: str, old: dict[str, Any], new: dict[str, Any], *, is_sent: bool) -> Iterator[str]:
    """Its type, and the values of a closed enum: one less breaks who sends it, one more who reads it."""
    if _type(old) != _type(new):
        yield f"{name} is of another type"
    before, after = (set(one.get("enum") or one.get("items", {}).get("enum") or ()) for one in (old, new))
    gone, come = sorted(before - after, key=str), sorted(after - before, key=str)
    if is_sent and after:
        yield from (f"{name} is never `{value}` any more" for value in gone)
    elif not is_sent and before and (after or "x-extensible-enum" not in new):
        yield from (f"{name} may be `{value}`, which nobody expects of a closed enum" for value in come)


def _type(shape: dict[str, Any]) -> dict[str, Any]:
    """What says its type; a reference that stands alone in an `allOf`, beside a description, is that reference."""
    if len(shape.get("allOf", ())) == 1:
        return _type(shape["allOf"][0])
    return {key: shape[key] for key in ("type", "format", "$ref", "oneOf") if key in shape}
