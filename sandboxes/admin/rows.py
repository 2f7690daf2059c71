"""The rows of a list as HTML. What is the same in each of them is made once: a page has up to 200."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import display_for_field, label_for_field
from django.core.exceptions import FieldDoesNotExist
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from unfold.widgets import CHECKBOX_CLASSES

from sandboxes import html

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.db.models import Model

    from sandboxes.admin.paging import PageChangeList

TICK = "action_checkbox"  # Django's name for the column
_TICK = format_html(
    '<td class="action-checkbox" data-label="Select"><input type="checkbox" name="{}" class="action-select {}"',
    ACTION_CHECKBOX_NAME, " ".join(CHECKBOX_CLASSES),
)  # fmt: skip


class Column(NamedTuple):
    opening: SafeString
    value: Callable[[Any], Any]
    closing: SafeString
    is_linked: bool  # to the page of the row


def made(changes: PageChangeList) -> Iterator[SafeString]:
    """Each row of the page."""
    columns = [_column(changes, name) for name in changes.list_display if name != TICK]
    has_tick = TICK in changes.list_display
    for row in changes.result_list:
        cells = format_html_join("", "{}", ((_cell(changes, column, row),) for column in columns))
        yield format_html('<tr class="data-row">{}{}</tr>', _tick(row) if has_tick else "", cells)


def _column(changes: PageChangeList, name: str) -> Column:
    label = capfirst(str(label_for_field(name, changes.model, changes.model_admin)))
    is_linked = name in (changes.list_display_links or ())
    tag = SafeString('th scope="row"' if is_linked else "td")
    opening = format_html('<{} class="field-{}" data-label="{}">', tag, name, label)
    return Column(opening, _reader(changes, name), SafeString("</th>" if is_linked else "</td>"), is_linked)


def _reader(changes: PageChangeList, name: str) -> Callable[[Any], Any]:
    """What the column shows of a row: a field, or what a method of the admin class says."""
    try:
        field = changes.lookup_opts.get_field(name)
    except FieldDoesNotExist:
        method: Callable[[Any], Any] = getattr(changes.model_admin, name)
        return method
    return lambda row: display_for_field(getattr(row, name), field, html.NOTHING)


def _cell(changes: PageChangeList, column: Column, row: Model) -> SafeString:
    shown = conditional_escape(column.value(row))
    if column.is_linked:
        shown = format_html('<a href="{}">{}</a>', changes.url_for_result(row), shown)
    return column.opening + shown + column.closing


def _tick(row: Model) -> SafeString:
    return _TICK + format_html(' value="{}" aria-label="Select {}"></td>', row.pk, row)
