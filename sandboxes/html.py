"""Small pieces of HTML that lists and pages share: badges, ages, icons. Nothing here reads the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from sandboxes import clock
from sandboxes.core.vocabulary import OperationStatus, Status

if TYPE_CHECKING:
    from sandboxes.models import Operation, Sandbox

NOTHING = mark_safe('<span class="sk-faint">&ndash;</span>')

# Colour and icon together: the word and the shape carry the meaning, the colour only helps.
STATUS_LOOKS: dict[str, tuple[str, str]] = {
    Status.CREATING: ("blue", "add_circle"),
    Status.STARTING: ("blue", "arrow_circle_up"),
    Status.RUNNING: ("green", "play_circle"),
    Status.STOPPING: ("amber", "arrow_circle_down"),
    Status.STOPPED: ("grey", "stop_circle"),
    Status.ARCHIVED: ("violet", "inventory_2"),
    Status.ERROR: ("red", "error"),
    Status.GONE: ("hollow", "block"),
}
OPERATION_LOOKS: dict[str, tuple[str, str]] = {
    OperationStatus.QUEUED: ("blue", "schedule"),
    OperationStatus.IN_PROGRESS: ("blue", "pending"),
    OperationStatus.SUCCEEDED: ("green", "check_circle"),
    OperationStatus.FAILED: ("red", "error"),
    OperationStatus.CANCELLED: ("grey", "cancel"),
}
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def icon(name: str) -> SafeString:
    return format_html('<span class="material-symbols-outlined" aria-hidden="true">{}</span>', name)


def badge(text: object, *, colour: str = "grey", symbol: str = "", title: str = "") -> SafeString:
    """A word in a coloured pill, with an icon when `symbol` names one of Material Symbols."""
    shape = icon(symbol) if symbol else ""
    label = text if isinstance(text, SafeString) else str(text).replace("_", " ")
    return format_html('<span class="sk-badge sk-{}" title="{}">{}{}</span>', colour, title, shape, label)


def status_badge(status: str, *, title: str = "") -> SafeString:
    colour, symbol = STATUS_LOOKS.get(status, ("grey", "help"))
    return badge(status, colour=colour, symbol=symbol, title=title)


def operation_badge(status: str, *, title: str = "") -> SafeString:
    colour, symbol = OPERATION_LOOKS.get(status, ("grey", "help"))
    return badge(status, colour=colour, symbol=symbol, title=title)


def marked(text: str) -> SafeString:
    """Words with what is to be typed between backticks, as HTML."""
    shapes = ("{}", "<code>{}</code>")
    parts = (format_html(shapes[place % 2], part) for place, part in enumerate(text.split("`")))
    return format_html_join("", "{}", ((part,) for part in parts))


def duration(seconds: float) -> str:
    """Seconds in the largest unit that is not zero: `45 s`, `12 min`, `3 h`, `5 d`."""
    whole = max(0, int(seconds))
    size, unit = next((pair for pair in UNITS if whole >= pair[0]), UNITS[-1])
    return f"{whole // size} {unit}"


def interval(name: str, count: int | None) -> str:
    """One of Daytona's intervals as people read it: `7 d`, `never`."""
    if count is None:
        return "not known"
    names = {("auto_stop", 0): "never", ("auto_delete", 0): "when it stops"}
    if name == "auto_delete" and count < 0:
        return "never"
    return names.get((name, count)) or duration(count * 60)


def exact(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def ago(moment: datetime | None, *, empty: str = "never") -> SafeString:
    """A time as people say it, the exact one on hover; admin.js keeps it true while the page stays open."""
    if moment is None:
        return format_html('<span class="sk-faint">{}</span>', empty)
    return _time(moment, relative(moment), "ago")


def since(moment: datetime | None) -> SafeString:
    """How long something has lasted: `45 s`."""
    if moment is None:
        return SafeString("")
    return _time(moment, duration((clock.here() - moment).total_seconds()), "since")


def relative(moment: datetime) -> str:
    seconds = (clock.here() - moment).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"{duration(seconds)} ago" if seconds > 0 else f"in {_ahead(-seconds)}"


def _ahead(seconds: float) -> str:
    """What lies ahead is rounded: a day less a minute is a day."""
    size = next((size for size, _ in UNITS if seconds >= size), 1)
    return duration(round(seconds / size) * size)


def between(start: datetime | None, end: datetime | None) -> str:
    """`1.4 s` under ten seconds, else as `duration`; empty while one of the two is unknown."""
    if start is None or end is None:
        return ""
    seconds = (end - start) / timedelta(seconds=1)
    return f"{seconds:.1f} s" if seconds < 10 else duration(seconds)


def _time(moment: datetime, label: str, kind: str) -> SafeString:
    return format_html(
        '<time datetime="{}" title="{}" data-age="{}">{}</time>', moment.isoformat(), exact(moment), kind, label
    )


def copyable(text: object) -> SafeString:
    """An id, or another text to be pasted elsewhere, with a button that copies it."""
    return format_html(
        '<span class="sk-mono">{0}</span> '
        '<button type="button" class="sk-copy" data-copy="{0}" aria-label="Copy">{1}</button>',
        text,
        icon("content_copy"),
    )


def link(url: str, text: object, *, css: str = "sk-link") -> SafeString:
    return format_html('<a class="{}" href="{}">{}</a>', css, url, text)


def sandbox_url(sandbox: Sandbox) -> str:
    return reverse("admin:sandboxes_sandbox_change", args=[sandbox.pk])


def owner_url(owner_id: str) -> str:
    return reverse("admin:sandboxes_owner_change", args=[quote(owner_id)])


def operation_url(operation: Operation) -> str:
    return reverse("admin:sandboxes_operation_change", args=[operation.pk])


def stack(*lines: object) -> SafeString:
    """Lines under one another in one cell; empty ones are left out."""
    return format_html(
        '<span class="sk-stack">{}</span>', format_html_join("", "<span>{}</span>", ((x,) for x in lines if x))
    )
