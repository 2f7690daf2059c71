"""Queries are repeated when that can help; mutations never are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.providers.convex.gateway import ConvexError, ConvexGateway
from tests.support.convex import sandbox_row, seed

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

OCC = {"code": "OptimisticConcurrencyControlFailure", "message": "x"}
BUSY = {"code": "TooManyConcurrentRequests", "message": "x"}
WORTH_IT: dict[str, dict[str, Any]] = {
    "throttled": {"kind": "status", "status": 429, "answer": BUSY},
    "conflict": {"kind": "status", "status": 503, "answer": OCC},
    "internal error": {"kind": "status", "status": 500, "answer": {"code": "InternalServerError"}},
    "proxy": {"kind": "status", "status": 502, "answer": "<html>"},
    "lost connection": {"kind": "drop_before"},
}


@pytest.mark.parametrize("fault", WORTH_IT.values(), ids=WORTH_IT.keys())
def test_a_query_is_repeated_twice(emulator: Emulator, gateway: ConvexGateway, fault: dict[str, Any]) -> None:
    seed(emulator, sandboxes=[sandbox_row()])
    number = emulator.faults.add(**fault, path="/api/query", times=2)

    assert gateway.owner_of("d1") == "user_ada"
    assert emulator.faults.hits(number) == 2


def test_a_query_is_given_up_after_three_tries(emulator: Emulator, gateway: ConvexGateway) -> None:
    number = emulator.faults.add("drop_before", path="/api/query")

    with pytest.raises(ConvexError):
        gateway.owner_of("d1")

    assert emulator.faults.hits(number) == 3


def test_a_refusal_is_not_repeated(emulator: Emulator, gateway: ConvexGateway) -> None:
    number = emulator.faults.add("status", path="/api/query", status=400, answer={"code": "BadJsonBody"})

    with pytest.raises(ConvexError):
        gateway.owner_of("d1")

    assert emulator.faults.hits(number) == 1


@pytest.mark.parametrize("fault", WORTH_IT.values(), ids=WORTH_IT.keys())
def test_a_mutation_is_sent_once(emulator: Emulator, gateway: ConvexGateway, fault: dict[str, Any]) -> None:
    number = emulator.faults.add(**fault, path="/api/mutation")

    with pytest.raises(ConvexError):
        gateway.update_status("d1", status="running")

    assert emulator.faults.hits(number) == 1
