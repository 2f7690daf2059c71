"""Breakages of deliveries to webhooks."""

from __future__ import annotations

from tests.breakages.breakage import Breakage

TESTS = "tests/services/webhooks/test_delivering.py"
RECEIVERS = "tests/providers/test_receivers.py"

BREAKAGES = [
    Breakage(
        "an event of a sandbox sent before the one before it was taken",
        "sandboxes/models/receiver.py",
        'before = same.filter(Q(number__lt=OuterRef("number")) | Q(due_at__isnull=False))',
        "before = same.filter(pk=None)",
        f"{TESTS}::test_events_that_come_while_one_waits_wait_behind_it",
    ),
    Breakage(
        "deliveries made once more after a crash",
        "sandboxes/services/webhooks/outbox.py",
        "@transaction.atomic\n",
        "",
        f"{TESTS}::test_deliveries_and_the_position_are_written_together",
    ),
    Breakage(
        "a delivery written down by one whose lease ran out",
        "sandboxes/services/webhooks/sending.py",
        "one(Delivery.objects.filter(pk=delivery).held(token))",
        "one(Delivery.objects.filter(pk=delivery))",
        f"{TESTS}::test_one_whose_lease_ran_out_writes_nothing",
    ),
    Breakage(
        "a private address called because a public one stands beside it",
        "sandboxes/providers/receivers.py",
        "if refused:\n            raise AddressRefused",
        "if len(refused) == len(addresses):\n            raise AddressRefused",
        f"{RECEIVERS}::test_a_name_that_leads_to_a_private_address_is_not_called",
    ),
    Breakage(
        "a redirect followed",
        "sandboxes/providers/receivers.py",
        "allow_redirects=False",
        "allow_redirects=True",
        f"{RECEIVERS}::test_no_redirect_is_followed",
    ),
    Breakage(
        "receivers that hang take every place",
        "sandboxes/engine/lanes.py",
        "each = min(wishes.each, max(1, limit // len(found)))",
        "each = max(1, limit // len(found))",
        "tests/engine/test_deliveries.py::test_receivers_that_hang_hold_their_places_alone",
    ),
]
