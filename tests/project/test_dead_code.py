"""What nothing of the product uses, in the rules, services and providers: no framework calls them by name."""

from __future__ import annotations

from pathlib import Path

from vulture import Vulture

from tests.support.environment import ROOT

LOOKED_AT = ("sandboxes/core/", "sandboxes/services/", "sandboxes/providers/")
# Used in ways that no reading of the code shows.
USED = {
    "died_at", "lease_until",  # compared, or saved, with the whole row
    "changed_at", "changed_by",  # saved with the row
    "user_agent",  # of the SDK's client
    "_retry_connection",  # of aiohttp's session
}  # fmt: skip


def unused() -> list[str]:
    """Each name that only its definition has, in the folders looked at."""
    found = Vulture()
    found.scavenge([str(ROOT / name) for name in ("sandboxes", "project", "bench", "manage.py")])
    return [
        f"{place}:{item.first_lineno} {item.typ} {item.name}"
        for item in found.get_unused_code(min_confidence=60)
        if (place := str(Path(item.filename).relative_to(ROOT))).startswith(LOOKED_AT) and item.name not in USED
    ]


def test_nothing_is_kept_that_nobody_uses() -> None:
    assert unused() == []
