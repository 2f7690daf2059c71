"""Whatever is sent, nothing breaks: no 5xx, and in the long run no request over a second of CPU at 100,000 rows.

One request again: `FUZZ_SEED=… FUZZ_FIRST=… FUZZ_COUNT=1 python -m pytest tests/hostile/test_fuzz.py -k few`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from itertools import count, takewhile
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.test import Client

from sandboxes.models import ConvexProjection, Sandbox, ServiceKey
from tests.admin import members
from tests.api.callers import ALL, program
from tests.hostile.hostility import Asked, Generator
from tests.support import rows

if TYPE_CHECKING:
    from pytest_django import Settings

    from tests.support.issuer import Issuer

SEED = os.environ.get("FUZZ_SEED", "12")
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))
COUNT = int(os.environ.get("FUZZ_COUNT", "200"))
SOAK_SECONDS = float(os.environ.get("FUZZ_SECONDS", "300"))
ROWS = int(os.environ.get("FUZZ_ROWS", "100000"))
MOST_CPU = 1.0
MEANT = {"not_configured"}  # a 503 that says what the operator has left out

Principal = Callable[[], tuple[Client, dict[str, str]]]


@pytest.fixture
def ids(settings: Settings) -> list[str]:
    """What there is, under ids that are the same each time."""
    settings.RATE_LIMITS = {"owner": 0, "service": 0, "staff": 0}
    box = rows.sandbox("Größe", of="alice", pk=UUID(int=1), daytona_id="d-1")
    rows.sandbox("bob's", of="bob", pk=UUID(int=2), daytona_id="d-2", status="stopped", ephemeral=True)
    operation = rows.operation(box, "stop", "in_progress", pk=UUID(int=3))
    return [str(UUID(int=1)), "d-1", str(operation.pk), str(UUID(int=2)), "alice", "bob", "1", str(UUID(int=9))]


@pytest.fixture
def principals(issuer: Issuer, ids: list[str]) -> list[Principal]:
    account = members.root()
    key = program("alice", scopes=[*ALL, ServiceKey.Scope.ANY])

    def staff() -> tuple[Client, dict[str, str]]:
        browser = Client(raise_request_exception=False)
        browser.force_login(account)
        return browser, {}

    def owner() -> tuple[Client, dict[str, str]]:
        return Client(raise_request_exception=False), {"Authorization": f"Bearer {issuer.token('alice')}"}

    def service() -> tuple[Client, dict[str, str]]:
        return Client(raise_request_exception=False), dict(key.headers)

    return [staff, owner, service]


def sent(principals: list[Principal], asked: Asked, number: int) -> tuple[Any, float]:
    """The answer and the seconds of CPU that it took; nothing that it changed stays."""
    with transaction.atomic():
        client, headers = principals[number % len(principals)]()
        headers = {name.replace("_", "-"): value for name, value in headers.items()} | asked.headers
        began = time.process_time()
        answer = client.generic(asked.method, asked.path, asked.body, asked.content_type, headers=headers)
        taken = time.process_time() - began
        transaction.set_rollback(True)
    return answer, taken


def is_broken(answer: Any) -> bool:
    if answer.status_code < 500:
        return False
    is_problem = answer.get("Content-Type", "").startswith("application/problem+json")
    return not (is_problem and answer.json()["code"] in MEANT)


def assert_unbroken(
    principals: list[Principal], generator: Generator, numbers: Iterable[int], *, most: float
) -> int:
    done = 0
    for number in numbers:
        asked = generator.asked(number)
        answer, taken = sent(principals, asked, number)
        again = f"FUZZ_SEED={generator.seed} FUZZ_FIRST={number} FUZZ_COUNT=1: {asked}"
        assert not is_broken(answer), f"{answer.status_code} {again}\n{getattr(answer, 'exc_info', None)}"
        assert taken < most, f"{taken:.2f} s of CPU; {again}"
        done += 1
    return done


@pytest.mark.django_db
def test_nothing_breaks_at_few_rows(principals: list[Principal], ids: list[str]) -> None:
    numbers = range(FIRST, FIRST + COUNT)
    assert assert_unbroken(principals, Generator(SEED, ids), numbers, most=float("inf")) == COUNT


def test_a_request_is_the_same_whenever_it_is_made() -> None:
    one, other = (Generator("7", ["x"]) for _ in range(2))
    assert [str(one.asked(number)) for number in (3, 1)] == [str(other.asked(number)) for number in (3, 1)]
    assert str(one.asked(3)) != str(Generator("8", ["x"]).asked(3))


@pytest.mark.soak
@pytest.mark.django_db
def test_nothing_breaks_or_takes_a_second_at_many_rows(principals: list[Principal], ids: list[str]) -> None:
    fill(ROWS)
    seed = os.environ.get("FUZZ_SEED", uuid4().hex[:8])
    until = time.monotonic() + SOAK_SECONDS
    numbers = takewhile(lambda _: time.monotonic() < until, count(FIRST))
    done = assert_unbroken(principals, Generator(seed, ids), numbers, most=MOST_CPU)
    print(f"seed {seed}: {done} requests, none broken")


def fill(number: int) -> None:
    """Rows of a thousand owners beside those that are asked for."""
    for which in range(1_000):
        rows.owner(f"owner{which}")
    for start in range(0, number, 5_000):
        boxes = [
            Sandbox(name=f"box {n}", owner_id=f"owner{n % 1_000}", daytona_id=f"many-{n}", status="running",
                    created_at=rows.ago(minutes=n % 100_000))
            for n in range(start, min(start + 5_000, number))
        ]  # fmt: skip
        Sandbox.objects.bulk_create(boxes)
        ConvexProjection.objects.bulk_create([ConvexProjection(sandbox=box) for box in boxes])
