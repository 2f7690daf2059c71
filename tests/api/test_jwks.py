"""The identity provider's keys beside a provider that is slow, wrong or too large."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.api import jwks
from sandboxes.api.jwks import KeySet
from sandboxes.core.codes import Code, Refused
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.issuer import Issuer

OTHERS = 8


@pytest.fixture
def slow(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    """Sends a byte from time to time, and never the whole."""
    monkeypatch.setattr(jwks, "DEADLINE_SECONDS", 2.0)  # many times the pause between two bytes
    issuer.slow.set()
    yield issuer
    issuer.slow.clear()


def verdict(keys: KeySet, kid: str = "first") -> str:
    try:
        return "found" if keys.find(kid) else "unknown"
    except Refused as refused:
        assert refused.extra["retry_after"] > 0
        return str(refused.code)


def test_a_fetch_has_one_deadline_however_slowly_it_comes(slow: Issuer) -> None:
    keys = KeySet(slow.url, slow.jwks_url)
    assert verdict(keys) == Code.IDENTITY_PROVIDER_UNAVAILABLE
    given_up(keys)
    assert verdict(keys) == Code.IDENTITY_PROVIDER_UNAVAILABLE
    assert slow.fetches <= 1, "not again before the pause is over"


def given_up(keys: KeySet) -> None:
    """Wait until the fetch itself has ended, not only whoever waited for it."""
    wait_until(lambda: not keys._fetching.locked(), timeout=15, what="end of a fetch that would go on for ever")


def test_nobody_else_waits_for_the_one_that_fetches(slow: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "DEADLINE_SECONDS", 5.0)
    keys = KeySet(slow.url, slow.jwks_url)
    fetching = threading.Thread(target=verdict, args=(keys,))
    fetching.start()
    wait_until(lambda: slow.fetches, what="the fetch")
    with ThreadPoolExecutor(OTHERS) as pool:
        answers = set(pool.map(lambda _: verdict(keys), range(OTHERS)))
    assert answers == {Code.IDENTITY_PROVIDER_UNAVAILABLE}
    assert fetching.is_alive(), "the first one still waits"
    slow.slow.clear()
    fetching.join()


def test_the_last_good_keys_serve_while_the_provider_drips(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = KeySet(issuer.url, issuer.jwks_url)
    assert verdict(keys) == "found"
    monkeypatch.setattr(jwks, "DEADLINE_SECONDS", 0.3)
    issuer.slow.set()
    clock.move(jwks.FRESH_SECONDS + 1)
    assert [verdict(keys) for _ in range(3)] == ["found"] * 3
    given_up(keys)
    assert issuer.fetches <= 2, "it may have left before it was seen"


@pytest.mark.parametrize("padding", [jwks.MOST_BYTES // 2, jwks.MOST_BYTES])
def test_a_key_set_has_a_size(issuer: Issuer, padding: int) -> None:
    issuer.padding = padding
    fits = padding < jwks.MOST_BYTES
    assert verdict(KeySet(issuer.url, issuer.jwks_url)) == ("found" if fits else Code.IDENTITY_PROVIDER_UNAVAILABLE)
