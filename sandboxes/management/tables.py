"""Tables and bars of commands, drawn by rich."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from project.readable import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class ReadableConsole(Console):
    """Shows every `str` as it is, never as markup, with signs for what cannot be read."""

    def render_str(self, text: str, **_options: Any) -> Text:
        return Text(visible(text, lines=True))


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str | None = None) -> Table:
    """Each cell on one line: what is in it cannot pass for a row."""
    made = Table(caption=caption)
    for title in titles:
        made.add_column(title, overflow="fold")
    for row in rows:
        made.add_row(*map(visible, row))
    return made
