"""Which text people can read: what is refused where it comes in, and how it is shown where it comes out.

Text of strangers (names, reasons, labels, a User-Agent, another system's error) must neither drive a terminal nor
look like other text than it is. This module alone decides which code points do.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

# Unicode's Default_Ignorable_Code_Points and blanks that `str.isprintable` takes for letters and symbols.
_INVISIBLE = frozenset(
    [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2800, 0x3164, 0xFFA0]
)  # fmt: skip
# Arabic and Syriac signs that Unicode calls format characters, and that everybody sees.
_VISIBLE_FORMATS = frozenset([*range(0x0600, 0x0606), 0x06DD, 0x070F, 0x0890, 0x0891, 0x08E2, 0x110BD, 0x110CD])
_JOINERS = frozenset([0x200C, 0x200D])  # between letters (Persian, Hindi) and within emoji
_SELECTORS = frozenset([*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])  # after what they choose a shape of
# All that can be a flaw: whatever is not plain ASCII.
_SUSPECT = re.compile(r"[^ -~]")
LONGEST_OWNER_ID = 255


class Flaw(NamedTuple):
    """One code point that nobody can read, and where it stands, counted from 1."""

    position: int
    character: str

    def __str__(self) -> str:
        name = unicodedata.name(self.character, "") or _CONTROL_NAMES.get(ord(self.character), "")
        named = f"U+{ord(self.character):04X}" + (f" ({name.lower()})" if name else "")
        return f"Character {self.position} is {named}, which cannot be read. Leave it out."


_CONTROL_NAMES = {
    0x00: "null",
    0x07: "bell",
    0x09: "tab",
    0x0A: "line feed",
    0x0D: "carriage return",
    0x1B: "escape",
}


class UnreadableText(ValueError):
    """`str()` says to people what is wrong and what to do."""

    code = "unreadable_text"


def checked(text: str) -> str:
    """The text in NFC, for one line that people read.

    Raises:
        UnreadableText: it holds a control, format, bidirectional or unassigned character, or nothing to be seen.
    """
    flaw = next(_flaws(text), None)
    if flaw is not None:
        raise UnreadableText(str(flaw))
    if text and not any(unicodedata.category(character)[0] in "LNPS" for character in text):
        raise UnreadableText("Nothing of it can be seen. Write at least one letter, digit or sign.")
    return unicodedata.normalize("NFC", text)


def checked_owner_id(text: str) -> str:
    """An owner's id as the identity provider writes it, to the letter: in NFC it might be somebody else's.

    Raises:
        UnreadableText: it cannot be read, or is `.` or `..`, which mean a folder in any address.
    """
    if not 1 <= len(text) <= LONGEST_OWNER_ID or text in (".", "..") or text != text.strip():
        raise UnreadableText(
            f"An owner's id has 1 to {LONGEST_OWNER_ID} characters, no blanks around them, and is not “.” or “..”."
        )
    checked(text)
    return text


def visible(text: str, *, lines: bool = False) -> str:
    """The text with a sign in the place of each code point that cannot be read: `␛`, `⟨U+202E⟩`.

    With `lines`, line feeds and tabs stay: for tracebacks and whole pages.
    """
    shown, end = [], 0
    for position, character in _flaws(text):
        if lines and character in "\n\t":
            continue
        shown += [text[end : position - 1], _sign(ord(character))]
        end = position
    return "".join([*shown, text[end:]]) if shown else text


def cut(text: str, limit: int) -> str:
    """At most `limit` characters; an ellipsis at the end says that there were more."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _flaws(text: str) -> Iterator[Flaw]:
    for found in _SUSPECT.finditer(text):
        if not _is_readable(text, found.start()):
            yield Flaw(found.start() + 1, found[0])


def _is_readable(text: str, place: int) -> bool:
    number = ord(text[place])
    before = text[place - 1] if place else " "
    if number in _JOINERS:
        return _takes_part(before) and _takes_part(text[place + 1 : place + 2])
    if number in _SELECTORS:
        return _takes_part(before) and ord(before) not in _SELECTORS  # a chain of them would hide a message
    if number in _INVISIBLE:
        return False
    # Spaces of other widths are no flaw; a whole line of them is.
    return text[place].isprintable() or number in _VISIBLE_FORMATS or unicodedata.category(text[place]) == "Zs"


def _takes_part(character: str) -> bool:
    """Whether a joiner or selector beside it has something to act on."""
    if not character or unicodedata.category(character)[0] not in "LMNSP":
        return False
    return ord(character) not in _INVISIBLE


def _sign(number: int) -> str:
    if number < 0x20:
        return chr(0x2400 + number)
    return "␡" if number == 0x7F else f"⟨U+{number:04X}⟩"
