"""The admin's pieces of HTML, for templates."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import template
from django.conf import settings
from django.urls import reverse

from project.version import VERSION
from sandboxes import html
from sandboxes.core import intervals
from sandboxes.models import Notice
from sandboxes.services import policies

register = template.Library()
register.simple_tag(html.ago)
register.simple_tag(html.since)
register.simple_tag(html.between)
register.simple_tag(html.badge)
register.simple_tag(html.status_badge)
register.simple_tag(html.operation_badge)
register.simple_tag(html.icon)
register.simple_tag(html.marked)
register.simple_tag(html.copyable)
register.simple_tag(html.duration)
register.simple_tag(intervals.spelled, name="minutes")
register.simple_tag(policies.in_words, name="rule_in_words")
register.simple_tag(html.interval)
register.simple_tag(html.sandbox_url)
register.simple_tag(html.owner_url)
register.simple_tag(html.operation_url)


@register.simple_tag
def version() -> str:
    return VERSION


@register.simple_tag(takes_context=True)
def ways_to_sign_in(context: template.Context) -> dict[str, Any]:
    """The address that leads to the identity provider, if there is one, and whether passwords are taken."""
    asked = context["request"].GET.get("next", "")
    query = f"?{urlencode({'next': asked})}" if asked else ""
    provider = f"{reverse('single_sign_on')}{query}" if settings.STAFF_OIDC_ISSUER else ""
    return {"provider": provider, "password": settings.STAFF_PASSWORDS}


@register.filter
def thousands(number: int) -> str:
    return f"{number:,}"


@register.filter
def quantity(value: float) -> str:
    """With a decimal; what is little, with its first two digits, so that it does not look like nothing."""
    return f"{value:.1f}" if value >= 1 or not value else f"{value:.2g}"


@register.filter
def lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


@register.simple_tag
def chosen_filters(changes: Any) -> list[tuple[str, str]]:
    """(label, address without it) of each filter in force."""
    return [
        (f"{spec.title}: {spec.value()}", changes.get_query_string(remove=[spec.parameter_name]))
        for spec in changes.filter_specs
        if getattr(spec, "parameter_name", None) and spec.value() is not None
    ]


@register.inclusion_tag("sandboxes/pieces/notices.html", takes_context=True)
def open_notices(context: dict[str, Any]) -> dict[str, Any]:
    """The banner of every page: what staff must know now."""
    request = context.get("request")
    if request is None or not request.user.has_perm("sandboxes.view_notice"):
        return {"notices": []}
    return {"notices": Notice.objects.filter(closed_at=None).order_by("first_seen_at")}
