"""Tables on a terminal: what owners wrote is shown as it is, never read as markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str | None = None) -> Table:
    made = Table(caption=caption)
    for title in titles:
        made.add_column(title, overflow="fold")
    for row in rows:
        made.add_row(*map(Text, row))
    return made
