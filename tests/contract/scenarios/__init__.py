"""What each recording needs besides its own requests, by recording."""

from __future__ import annotations

from tests.contract.replay import Scenario
from tests.contract.scenarios import capacity, deletion, errors, events, labels, lifecycle, lists, lookup, traffic

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
