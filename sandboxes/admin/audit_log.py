"""The audit log: what anybody did, from where, and what it changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from unfold.decorators import display

from sandboxes import html
from sandboxes.admin import filters, search
from sandboxes.admin.read_only import ReadOnlyAdmin, choice
from sandboxes.core.vocabulary import AuditAction
from sandboxes.models import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Iterable

LINKS = {"sandbox": "sandbox", "owner": "owner", "service key": "servicekey"}


@admin.register(AuditEntry)
class AuditAdmin(ReadOnlyAdmin):
    list_display = (
        "cell_when",
        "cell_actor",
        "cell_action",
        "cell_about",
        "cell_owner",
        "cell_changed",
        "cell_from",
    )
    list_filter = (
        filters.ActorFilter,
        choice("action", "action", AuditAction.values),
        filters.OwnerFilter,
        filters.period("when", "at", "at"),
    )
    search = staticmethod(search.audit_entries)
    search_help_text = "Part of a name or owner, an id, or a request's id"
    ordering = ("-at", "-id")
    nothing_yet = "Nothing was done yet."
    labels: ClassVar[dict[str, str]] = {
        "at": "When",
        "about_kind": "Done to",
        "about_id": "Its id",
        "about_name": "Its name",
    }

    def left_out(self, row: Any) -> Iterable[str]:
        return ("id",)

    @display(description="When")
    def cell_when(self, row: AuditEntry) -> str:
        return html.ago(row.at)

    @display(description="Who")
    def cell_actor(self, row: AuditEntry) -> str:
        return html.link(f"?actor={quote(row.actor)}", row.actor, css="sk-plain sk-name")

    @display(description="Did")
    def cell_action(self, row: AuditEntry) -> str:
        return row.get_action_display()

    @display(description="To")
    def cell_about(self, row: AuditEntry) -> str:
        kind = format_html('<span class="sk-small sk-faint">{}</span>', row.about_kind)
        return html.stack(
            format_html('<span class="sk-name">{}</span>', row.about_name), kind if row.about_kind else ""
        )

    @display(description="Owner")
    def cell_owner(self, row: AuditEntry) -> str:
        return (
            html.link(f"?owner={quote(row.owner)}", row.owner, css="sk-plain sk-name")
            if row.owner
            else html.NOTHING
        )

    @display(description="Changed")
    def cell_changed(self, row: AuditEntry) -> str:
        each = [
            (name.replace("_", " "), _shown(row.before.get(name)), _shown(row.after.get(name)))
            for name in {**row.before, **row.after}
        ]
        lines = [(name, before, after) for name, before, after in each if before != after]
        changed = format_html_join("", '<div class="sk-small">{}: {} → {}</div>', lines)
        reason = format_html('<span class="sk-faint">“{}”</span>', row.reason) if row.reason else ""
        return html.stack(changed, reason)

    @display(description="From")
    def cell_from(self, row: AuditEntry) -> str:
        return row.address or html.NOTHING


def _shown(value: Any) -> str:
    """A value of the log, as people write it."""
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or html.NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return html.NOTHING if value in (None, "") else str(value)
