"""The Python client's types and its method for each operation, written from the OpenAPI document."""

from __future__ import annotations

import keyword
import re
import textwrap
from typing import Any

from clients.document import Document, operations

HEAD = '''"""{words} Written by `make clients`: do not edit."""

from __future__ import annotations

'''
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
# Headers that are keyword arguments, and how they are declared.
HEADERS = {
    "Prefer": ("wait", "float | None"),
    "If-Match": ("if_match", "str | None"),
    "Idempotency-Key": ("idempotency_key", "str | None"),
}


def types(document: Document) -> str:
    """A TypedDict for each object, a Literal for each enum."""
    shapes = document["components"]["schemas"]
    enums = [name for name, shape in shapes.items() if "properties" not in shape and _values(shape)]
    lines = [
        HEAD.format(words="What is sent and answered."),
        "from typing import Any, Literal, NotRequired, TypeAlias, TypedDict\n\n",
        *(_enum(name, shapes[name]) for name in enums),
        *(_object(name, shape) for name, shape in shapes.items() if name not in enums),
        *(_query(one) for one in operations(document).values() if _query_of(one)),
    ]
    return "".join(lines)


def _values(shape: dict[str, Any]) -> list[str]:
    return list(shape.get("enum") or shape.get("x-extensible-enum") or ())


def _enum(name: str, shape: dict[str, Any]) -> str:
    literal = f"Literal[{', '.join(map(repr, _values(shape)))}]"
    if "x-extensible-enum" in shape:
        literal += " | str"
    return f"{_comment(shape.get('description', ''), '')}{name}: TypeAlias = {literal}\n"


def _object(name: str, shape: dict[str, Any]) -> str:
    required = shape.get("required", ())
    fields = {
        field: (
            annotation(one) if field in required else f"NotRequired[{annotation(one)}]",
            one.get("description", ""),
        )
        for field, one in shape.get("properties", {}).items()
    }
    told = shape.get("description", "")
    if not all(field.isidentifier() and not keyword.iskeyword(field) for field in fields):
        lines = [f"{_comment(words, '    ')}    {field!r}: {kind!r},\n" for field, (kind, words) in fields.items()]
        return f"\n\n{_comment(told, '')}{name} = TypedDict({name!r}, {{\n{''.join(lines)}}})\n"
    lines = [f'    """{told}"""\n\n' if told else ""]
    lines += [f"{_comment(words, '    ')}    {field}: {kind}\n" for field, (kind, words) in fields.items()]
    return f"\n\nclass {name}(TypedDict):\n{''.join(lines) if any(lines) else '    pass'}\n"


def _query(operation: dict[str, Any]) -> str:
    properties = {
        one["name"]: one["schema"] | {"description": one.get("description", "")} for one in _query_of(operation)
    }
    required = [one["name"] for one in _query_of(operation) if one.get("required")]
    return _object(_query_name(operation), {"properties": properties, "required": required})


def _query_name(operation: dict[str, Any]) -> str:
    return "".join(word.title() for word in operation["operationId"].split("_")) + "Query"


def _query_of(operation: dict[str, Any]) -> list[dict[str, Any]]:
    """Its query parameters, less the one that says in other words what an argument of ours does."""
    ours = {HEADERS[one["name"]][0] for one in operation["parameters"] if one["name"] in HEADERS}
    return [one for one in operation["parameters"] if one["in"] == "query" and one["name"] not in ours]


def _comment(words: str, indent: str) -> str:
    lines = textwrap.wrap(" ".join(words.split()), width=110 - len(indent))
    return "".join(f"{indent}# {line}\n" for line in lines)


def annotation(shape: dict[str, Any]) -> str:
    """The annotation of what a schema describes."""
    if "$ref" in shape:
        return str(shape["$ref"].rpartition("/")[2])
    for key in ("allOf", "oneOf", "anyOf"):
        if key in shape:
            return " | ".join(dict.fromkeys(annotation(one) for one in shape[key]))
    if values := _values(shape):
        return f"Literal[{', '.join(map(repr, values))}]"
    kinds = shape.get("type", ())
    found = [_plain(kind, shape) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    return " | ".join(found) or "Any"


def _plain(kind: str, shape: dict[str, Any]) -> str:
    if kind == "array":
        return f"list[{annotation(shape['items'])}]"
    if kind == "object":
        more = shape.get("additionalProperties")
        return f"dict[str, {annotation(more) if isinstance(more, dict) else 'Any'}]"
    return PLAIN[kind]


def methods(document: Document) -> str:
    """A class of methods for the client, and one for that with `await`."""
    lines = [
        HEAD.format(words="A method for each operation of the API."),
        "from typing import TYPE_CHECKING, Any, Unpack\n\n",
        "from sandkeeper_client.steps import Ask, path\n\n",
        "if TYPE_CHECKING:\n    from sandkeeper_client import types as t\n",
    ]
    for prefix, asynchronous in (("", ""), ("Async", "async ")):
        lines.append(f"\n\nclass {prefix}Operations:\n")
        lines.append(f"    {asynchronous}def _call(self, ask: Ask) -> Any:\n        raise NotImplementedError\n")
        lines += [
            _method(where, one, asynchronous=asynchronous)
            for where, one in sorted(operations(document).items(), key=lambda item: str(item[1]["operationId"]))
        ]
    return "".join(lines)


def _method(where: str, operation: dict[str, Any], *, asynchronous: str) -> str:
    verb, _, address = where.partition(" ")
    names = re.findall(r"{(\w+)}", address)
    given = [HEADERS[one["name"]] for one in operation["parameters"] if one["name"] in HEADERS]
    sent, more = _sent(operation)
    keywords = [f"{name}: {kind} = None" for name, kind in given]
    arguments = ", ".join(
        [
            "self",
            *(f"{name}: str" for name in names),
            *(["*"] if keywords else []),
            *keywords,
            *([more] if more else []),
        ]
    )
    asked = ", ".join([
        f'"{verb}"', f"path({', '.join([repr(address.removeprefix('/api/v1')), *names])})", *sent,
        *(f"{name}={name}" for name, _ in given),
    ])  # fmt: skip
    answer = f"{'await ' if asynchronous else ''}self._call(Ask({asked}))"
    kind = _answer(operation)
    body = (
        f"        {answer}\n" if kind == "None" else f"        answer: {kind} = {answer}\n        return answer\n"
    )
    told = operation.get("summary") or operation.get("description", "").splitlines()[0]
    return (
        f"\n    {asynchronous}def {operation['operationId']}({arguments}) -> {kind}:\n"
        f'        """{told.rstrip(".")}."""\n{body}'
    )


def _sent(operation: dict[str, Any]) -> tuple[list[str], str]:
    """What is asked beside the path, and the arguments that it is made of."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content:
        return ["body={**body}"], f"**body: Unpack[{_of_types(annotation(content['schema']))}]"
    if _query_of(operation):
        return ["query={**query}"], f"**query: Unpack[t.{_query_name(operation)}]"
    return [], ""


def _answer(operation: dict[str, Any]) -> str:
    kinds = [
        annotation(content["schema"])
        for status, response in operation["responses"].items()
        if status < "300"
        for content in response.get("content", {}).values()
    ]
    return _of_types(" | ".join(dict.fromkeys(kinds))) if kinds else "None"


def _of_types(kinds: str) -> str:
    return re.sub(r"\b([A-Z]\w+)\b", lambda m: m[1] if m[1] in ("Any", "None", "Literal") else f"t.{m[1]}", kinds)
