"""Every address of the admin, by its URL configuration: a new page cannot be forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from django.contrib.contenttypes.models import ContentType
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from sandboxes.models import Owner

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django.test import Client

# Of what a GET answers, these are for programs and browsers; exports are files.
NO_PAGES = {"jsi18n", "autocomplete", "search", "logout", "single_sign_on", "oidc_authentication_callback"}


class Address(NamedTuple):
    name: str
    path: str


def admin_patterns() -> list[URLPattern]:
    (resolver,) = [entry for entry in get_resolver().url_patterns if getattr(entry, "namespace", "") == "admin"]
    assert isinstance(resolver, URLResolver)
    return list(_patterns(resolver.url_patterns))


def _patterns(found: list[Any]) -> Iterator[URLPattern]:
    for entry in found:
        if isinstance(entry, URLResolver):
            yield from _patterns(entry.url_patterns)
        else:
            yield entry


def addresses(keys: Mapping[str, str] | None = None) -> Iterator[Address]:
    """Each named pattern's address, about a row that exists: the one that `keys` has for the model's name, or any.

    Fails for an argument that nobody knows, and for a model without a row.
    """
    for pattern in admin_patterns():
        if pattern.name is None:
            continue
        arguments = {
            argument: _value(pattern.name, argument, keys or {}) for argument in pattern.pattern.regex.groupindex
        }
        yield Address(pattern.name, reverse(f"admin:{pattern.name}", kwargs=arguments))


def _value(name: str, argument: str, keys: Mapping[str, str]) -> object:
    if argument in ("object_id", "id"):
        return "1" if name == "view_on_site" else _some_key(name, keys)
    owners = ContentType.objects.get_for_model(Owner).pk
    return {"app_label": "sandboxes", "url": "nowhere", "content_type_id": owners}[argument]


def _some_key(name: str, keys: Mapping[str, str]) -> str:
    """The key of some row of the model that an address of this name is about."""
    app, model_name, *_ = name.split("_")
    if model_name in keys:
        return keys[model_name]
    model = ContentType.objects.get(app_label=app, model=model_name).model_class()
    assert model is not None
    return str(model._default_manager.all()[0].pk)


def pages(browser: Client, keys: Mapping[str, str] | None = None) -> Iterator[Address]:
    """Those that a GET answers with a page; the others lead elsewhere, are refused to everybody, or are none."""
    for address in addresses(keys):
        if address.name in NO_PAGES or address.name.endswith("_export"):
            continue
        answer = browser.get(address.path)
        assert answer.status_code not in (404, 500) or address.name == "view_on_site", address
        if answer.status_code == 200 and not answer.streaming and b"<html" in answer.content:
            yield address
