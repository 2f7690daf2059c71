"""Other systems' text, made fit to be kept: the one place where it is cut and where secrets are taken out."""

from __future__ import annotations

from project.logs import redact
from project.readable import cut

WORDS_LIMIT = 1_000  # of a sentence: errorReason, a refusal's message
NAME_LIMIT = 255  # of a name or an id


def said(text: str, limit: int = WORDS_LIMIT) -> str:
    """A sentence of another system, as it may be stored and shown."""
    return storable(redact(text, limit))


def named(value: object, limit: int = NAME_LIMIT) -> str:
    """A name, an id or a state of another system; "" for what is no text."""
    return storable(cut(value, limit)) if isinstance(value, str) else ""


def storable(text: str) -> str:
    """Without NUL and lone surrogates: JSON may spell them, and no database takes them."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
