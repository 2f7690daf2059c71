"""Requests made from the table of addresses, the API's bodies and the admin's forms, by number and seed."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django import forms
from django.contrib import admin
from django.urls import URLPattern, URLResolver, get_resolver

from sandboxes.api.requests import Strict

if TYPE_CHECKING:
    from collections.abc import Iterator

METHODS = ["GET", "GET", "GET", "POST", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS", "TRACE", "BREW"]
TEXTS = [
    "", " ", "a\x00b", "x\x1b[2J", "\u202etxt", "\u200b", "9" * 5_000, "-1", "0", "1e999", "NaN", "dev:" * 2_000,
    "eyJ" * 2_000, "'; --", "%s%n{}", "../../etc/passwd",
    "<script>alert(1)</script>", "é" * 300, "👩\u200d💻",
    "Größe", "[]", "{}", "null", "true", "a,b,,c", "\\", "\r\nSet-Cookie: x=y", "_00_2F", "x" * 20_000, "*",
    "2026-01-01",
    "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "running", "stop", "name", "-name", "yes", "alice",
    "basic",
]  # fmt: skip
JSON: list[Any] = [None, True, -1, 0, 10**30, 1.5, [], {}, [[[[]]]], {"a": {"b": [None]}}, *TEXTS]
HEADERS = [
    "Authorization", "X-On-Behalf-Of", "Idempotency-Key", "Prefer", "Content-Type", "Accept", "X-Request-ID",
    "X-Forwarded-For", "X-Forwarded-Proto", "Range", "If-Match", "If-None-Match", "If-Modified-Since", "Origin",
    "Accept-Language", "User-Agent", "Referer", "Content-Encoding", "Transfer-Encoding", "X-HTTP-Method-Override",
    "Access-Control-Request-Method", "HX-Request", "Host", "Cookie",
]  # fmt: skip
TYPES = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain",
         "",          "application/json; charset=utf-7", "a; b"]  # fmt: skip
BODIES = [b"", b"{", b"\xff\x00", b"[" * 5_000, b"--x\r\n\r\n", b"null", b'"\\ud800"']
PARAMETERS = ["q", "p", "o", "page", "show", "limit", "cursor", "order", "status", "intent", "tier", "region",
              "action", "code", "kind", "result", "owner", "term", "ids", "sandbox", "target",
              "updated_since", "used",
              "next", "_to_field", "_popup", "field_name", "model_name", "app_label"]  # fmt: skip


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    content_type: str
    body: bytes
    headers: dict[str, str]

    def __str__(self) -> str:
        return f"{self.method} {self.path[:300]!r} {self.content_type!r} {self.headers!r:.500} {self.body[:300]!r}"


def addresses(resolver: URLResolver | None = None, before: str = "/") -> Iterator[str]:
    """Each address of the table, with `<kind:name>` where something varies."""
    for pattern in (resolver or get_resolver()).url_patterns:
        whole = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern, whole)
        elif isinstance(pattern, URLPattern):
            yield whole


def written(address: str, rng: random.Random, ids: list[str]) -> str:
    """The address with something in each place: an id that there is, or what nobody foresaw."""
    parts = address.replace("^", "").replace("$", "").replace("(?P", "").replace(".*", "<x>").split("<")
    made = parts[0]
    for part in parts[1:]:
        _, _, rest = part.partition(">")
        made += quote(rng.choice(ids) if rng.random() < 0.7 else rng.choice(TEXTS), safe=":@") + rest
    return made.replace(")", "")


def names_of_fields() -> list[str]:
    """Of all forms and bodies."""
    forms_ = [form for form in _subclasses(forms.Form) if form.__module__.startswith("sandboxes.")]
    bodies = [name for body in _subclasses(Strict) for name in body().fields]
    more = ["_selected_action", "action", "confirmed", "query", "skipped", "username", "password", "select_across"]
    return sorted({*bodies, *more, *(name for form in forms_ for name in form.base_fields)})


def _subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for one in kind.__subclasses__():
        yield one
        yield from _subclasses(one)


class Generator:
    """The same request for the same seed and number, whatever came before."""

    def __init__(self, seed: str, ids: list[str]) -> None:
        self.seed = seed
        self.ids = ids
        self.addresses = sorted(addresses())
        self.fields = names_of_fields()
        self.parameters = sorted({*PARAMETERS, *self.fields, *_filters()})

    def asked(self, number: int) -> Asked:
        rng = random.Random(f"{self.seed}:{number}")
        path = written(rng.choice(self.addresses), rng, self.ids)
        if rng.random() < 0.5:
            pairs = [(rng.choice(self.parameters), self._text(rng)) for _ in range(rng.randint(1, 3))]
            path += "?" + "&".join(f"{name}={quote(value)}" for name, value in pairs)
        method = rng.choice(METHODS)
        content_type, body = self._body(rng) if method not in ("GET", "HEAD") else ("application/json", b"")
        names = rng.sample(HEADERS, rng.choice([0, 0, 1, 1, 3]))
        # A server hands header values over as Latin-1, and lets no line end through.
        values = (self._text(rng).encode().decode("latin-1").replace("\r", "").replace("\n", "") for _ in names)
        headers = dict(zip(names, values, strict=True))
        if rng.random() < 0.3:
            headers["Prefer"] = "wait=0"
        return Asked(method, path, content_type, body, headers)

    def _text(self, rng: random.Random) -> str:
        return rng.choice(self.ids) if rng.random() < 0.3 else rng.choice(TEXTS)

    def _body(self, rng: random.Random) -> tuple[str, bytes]:
        names = rng.sample(self.fields, rng.randint(0, 5))
        kind = rng.random()
        if kind < 0.4:
            values = {name: [rng.choice(self.ids)] if name == "ids" else rng.choice(JSON) for name in names}
            return "application/json", json.dumps(values).encode("utf-8", "surrogatepass")
        if kind < 0.8:
            pairs = "&".join(
                f"{name}={quote(self._text(rng))}" for name in [*names, "confirmed", "_selected_action"]
            )
            return "application/x-www-form-urlencoded", pairs.encode()
        return rng.choice(TYPES), rng.choice(
            [b"", b"{", b"\xff\x00", b"[" * 5_000, b"--x\r\n\r\n", b"null", b'"\\ud800"']
        )


def _filters() -> Iterator[str]:
    for model_admin in admin.site._registry.values():
        for one in model_admin.list_filter:
            yield one if isinstance(one, str) else one.parameter_name  # type: ignore[union-attr]
