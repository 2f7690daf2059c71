"""Whose address it is: what a trusted proxy appended, never what a client wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.core.checks import run_checks
from django.test import Client, RequestFactory
from django.urls import reverse

from project.networks import Proxies, client_address

if TYPE_CHECKING:
    from pytest_django import Settings

PROXY = "10.0.0.1"
BY_NETWORK = ["10.0.0.0/8", "2001:db8::/32"]


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        # Nobody is trusted: the header is a client's own.
        ([], "192.0.2.1", "203.0.113.9", "192.0.2.1"),
        # By network: from the right, as far as the proxies are ours.
        (BY_NETWORK, "192.0.2.1", "203.0.113.9", "192.0.2.1"),
        (BY_NETWORK, PROXY, "203.0.113.9", "203.0.113.9"),
        (BY_NETWORK, PROXY, "1.2.3.4, 203.0.113.9", "203.0.113.9"),
        (BY_NETWORK, PROXY, "1.2.3.4, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (BY_NETWORK, PROXY, "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        (BY_NETWORK, "::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        (BY_NETWORK, "2001:db8::1", "203.0.113.9", "203.0.113.9"),
        (BY_NETWORK, PROXY, "", PROXY),
        # By number of proxies.
        (["1"], PROXY, "1.2.3.4, 203.0.113.9", "203.0.113.9"),
        (["2"], PROXY, "1.2.3.4, 203.0.113.9", "1.2.3.4"),
        (["3"], PROXY, "1.2.3.4, 203.0.113.9", "1.2.3.4"),
        (["1", "192.0.2.0/24"], PROXY, "1.2.3.4, 192.0.2.9", "1.2.3.4"),
        # How proxies write addresses.
        (["1"], PROXY, "203.0.113.9:5678", "203.0.113.9"),
        (["1"], PROXY, "[2001:db8::9]:5678", "2001:db8::9"),
        (["1"], PROXY, "[2001:db8::9]", "2001:db8::9"),
        (["1"], PROXY, "2001:DB8::9", "2001:db8::9"),
        (["1"], PROXY, "::ffff:203.0.113.9", "203.0.113.9"),
        (["1"], PROXY, '"203.0.113.9"', "203.0.113.9"),
        (["1"], PROXY, " 203.0.113.9 ", "203.0.113.9"),
        # What is no address ends the way: the last that is known is the proxy's.
        (["1"], PROXY, "unknown", PROXY),
        (["1"], PROXY, "203.0.113.9:port", PROXY),
        (["1"], PROXY, "203.0.113.9:99999", PROXY),
        (["1"], PROXY, "fe80::1%eth0", PROXY),
        (["1"], PROXY, "1.2.3.4\x00", PROXY),
        (["1"], PROXY, "1.2.3.4, ", PROXY),
        (["2"], PROXY, "unknown, 203.0.113.9", "203.0.113.9"),
        (["2"], PROXY, "9" * 5000 + ",203.0.113.9", "203.0.113.9"),
        # A socket without an address, such as a Unix one.
        (["1"], "", "203.0.113.9", "203.0.113.9"),
        ([], "", "203.0.113.9", ""),
    ],
)
def test_the_address_of_a_client(
    settings: Settings, trusted: list[str], peer: str, forwarded: str, client: str
) -> None:
    settings.TRUSTED_PROXIES = trusted
    headers: dict[str, Any] = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    request = RequestFactory().get("/", REMOTE_ADDR=peer, **headers)
    assert client_address(request) == client


@pytest.mark.parametrize(
    ("trusted", "given", "status"),
    [
        ([], "https", 301),
        (["10.0.0.0/8"], "https", 302),
        (["1"], "https", 302),
        (["1"], "http", 301),
        (["1"], "https, http", 301),
        (["1"], "http, https", 302),
        (["192.0.2.0/24"], "https", 301),
    ],
)
def test_only_a_trusted_proxy_says_that_it_was_https(
    client: Client, settings: Settings, trusted: list[str], given: str, status: int
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.TRUSTED_PROXIES = trusted
    answer = client.get(reverse("admin:index"), REMOTE_ADDR=PROXY, headers={"X-Forwarded-Proto": given})
    assert answer.status_code == status


@pytest.mark.django_db
def test_a_port_behind_the_address_breaks_no_sign_in(client: Client, settings: Settings) -> None:
    settings.TRUSTED_PROXIES = ["1"]
    data: dict[str, Any] = {"username": "admin", "password": "wrong"}
    for forwarded in ("1.2.3.4:5678", "nonsense", "\x00"):
        answer = client.post(
            reverse("admin:login"), data, REMOTE_ADDR=PROXY, headers={"X-Forwarded-For": forwarded}
        )
        assert answer.status_code == 200


@pytest.mark.parametrize("wrong", ["10.0.0.0/33", "10.0.0.1/8", "proxy.example.com", "0", "1,2", "-1", "²"])
def test_what_names_no_proxies_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Proxies.of(tuple(wrong.split(",")))


def test_who_trusts_everybody_is_warned(settings: Settings) -> None:
    def found() -> set[str]:
        return {str(message.id) for message in run_checks() if str(message.id).startswith("sandboxes.")}

    settings.TRUSTED_PROXIES = ["2", "10.0.0.0/8"]
    assert found() == set()
    settings.TRUSTED_PROXIES = ["0.0.0.0/0"]
    assert found() == {"sandboxes.W006"}
