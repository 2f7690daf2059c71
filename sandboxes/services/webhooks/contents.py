"""What a delivery says: of an event as the feed shows it, of a notice as staff read it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from project.readable import visible
from sandboxes.services import feed
from sandboxes.services.facts import as_json

if TYPE_CHECKING:
    from sandboxes.models import Notice, SandboxEvent


@dataclass(frozen=True, slots=True)
class Content:
    """The signed body; and for people, of a notice, a subject and a text."""

    json: bytes
    subject: str = ""
    text: str = ""

    @property
    def slack(self) -> bytes:
        """A message in the form that Slack takes. What others wrote calls nobody and links nowhere."""
        escaped = f"*{self.subject}*\n{self.text}".replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return _encoded({"text": escaped})


def of_event(event: SandboxEvent) -> Content:
    shown = feed.shown(event, for_staff=False)
    return Content(_encoded({"type": shown["type"], "timestamp": shown["at"], "data": shown}))


def of_notice(notice: Notice, *, closed: bool) -> Content:
    """As it stands now: a notice that was seen again meanwhile says so."""
    kind, at = ("notice.closed", notice.closed_at) if closed else ("notice.opened", notice.first_seen_at)
    shown = {
        "code": notice.code,
        "message": notice.message,
        "remedy": notice.remedy,
        "count": notice.count,
        **{name: as_json(getattr(notice, name)) for name in ("first_seen_at", "last_seen_at", "closed_at")},
    }
    lines = [visible(notice.message), f"What to do: {notice.remedy}"]
    if closed:
        lines = [f"It was open since {notice.first_seen_at:%Y-%m-%d %H:%M} UTC.", visible(notice.message)]
    return Content(
        _encoded({"type": kind, "timestamp": as_json(at), "data": shown}),
        subject=f"Sandkeeper: {notice.code}{' is over' if closed else ''}",
        text="\n".join(lines),
    )


def _encoded(whole: dict[str, Any]) -> bytes:
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()
