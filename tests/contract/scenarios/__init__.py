"""What each recording needs besides its own requests, by recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.scenarios import capacity, deletion, errors, events, labels, lifecycle, lists, lookup, traffic

if TYPE_CHECKING:
    from tests.contract.replay import Scenario

SCENARIOS: dict[str, Scenario] = {
    **lookup.SCENARIOS,
    **lifecycle.SCENARIOS,
    **deletion.SCENARIOS,
    **capacity.SCENARIOS,
    **errors.SCENARIOS,
    **traffic.SCENARIOS,
    **labels.SCENARIOS,
    **lists.SCENARIOS,
    **events.SCENARIOS,
}
