"""One search for everything (Ctrl-K): what Unfold's command palette shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unfold.dataclasses import SearchResult

from sandboxes import html
from sandboxes.admin import search
from sandboxes.models import Operation, Owner, Sandbox

if TYPE_CHECKING:
    from django.http import HttpRequest

EACH = 8


def found(request: HttpRequest, _lowered: str) -> list[SearchResult]:
    """The first few sandboxes, owners and operations that this user may see; nothing that soon changes is said."""
    text = request.GET.get("s", "").strip()
    results: list[SearchResult] = []
    if not text:
        return results
    if request.user.has_perm("sandboxes.view_sandbox"):
        sandboxes = search.sandboxes(Sandbox.objects.all(), text).order_by("-created_at")[:EACH]
        results += [
            _result(row.display_name, f"sandbox of {row.owner_id}", html.sandbox_url(row), "deployed_code")
            for row in sandboxes
        ]
    if request.user.has_perm("sandboxes.view_owner"):
        owners = search.owners(Owner.objects.all(), text).order_by("pk")[:EACH]
        results += [_result(row.pk, "owner", html.owner_url(row.pk), "person") for row in owners]
    if request.user.has_perm("sandboxes.view_operation"):
        named = search.operations_named(text)
        operations = Operation.objects.filter(pk__in=named[:EACH]).select_related("sandbox")
        results += [
            _result(
                f"{row.get_action_display()} of {row.sandbox.display_name}",
                "operation",
                html.operation_url(row),
                "bolt",
            )
            for row in operations
        ]
    return results


def _result(title: str, description: str, link: str, icon: str) -> SearchResult:
    return SearchResult(title=title, description=description, link=link, icon=icon)
