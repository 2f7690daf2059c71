"""One POST to a receiver: whatever that does, it ends in time, says why, and leads to no private address."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest

from sandboxes.providers import receivers
from sandboxes.providers.receivers import post, refusal_of
from tests.support.receiver import raw_server, receiver_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from sandboxes.core.deliveries import Reply


@pytest.fixture(autouse=True)
def development(settings: Settings) -> None:
    settings.DEBUG = True
    settings.WEBHOOK_TIMEOUT = 20.0


def send(url: str, body: bytes = b"{}") -> Reply:
    return asyncio.run(post(url, body=body, headers={}, message="evt_1"))


def until_closed(connection: socket.socket, over: threading.Event) -> None:
    over.wait()


def drip(connection: socket.socket, over: threading.Event) -> None:
    """A byte at a time, for ever: no pause is ever long."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not over.wait(0.02):
        connection.sendall(b"a")


def endless_body(connection: socket.socket, over: threading.Event) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
    while not over.is_set():
        connection.sendall(b"a" * 65536)


def says(words: bytes) -> Callable[[socket.socket, threading.Event], None]:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(words)

    return talk


@pytest.mark.parametrize("talk", [until_closed, drip])
def test_one_that_hangs_or_drips_ends_with_the_time(
    talk: Callable[[socket.socket, threading.Event], None], settings: Settings
) -> None:
    settings.WEBHOOK_TIMEOUT = 0.3
    with raw_server(talk) as url:
        reply = send(url)
    assert (reply.is_success, reply.error) == (False, "No answer within 0.3 s")


def test_an_endless_answer_is_not_read() -> None:
    with raw_server(endless_body) as url:
        assert send(url).is_success


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    with receiver_server() as elsewhere, receiver_server() as first:
        first.answer = lambda _: (status, {"Location": elsewhere.url})
        reply = send(first.url)
    assert reply.error == f"HTTP {status}: redirects are not followed"
    assert (len(first.got), elsewhere.got) == (1, [])


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 two hundred OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"a" * 100_000 + b"\r\n\r\n",
        b"\x00" * 1000,
    ],
)
def test_one_that_lies_is_no_success_and_its_words_are_not_repeated(words: bytes) -> None:
    with raw_server(says(words)) as url:
        reply = send(url)
    assert not reply.is_success
    assert reply.error.startswith("It did not answer in HTTP (")


def test_a_compressed_bomb_and_an_odd_header_are_not_looked_at() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nRetry-After: never\r\nContent-Length: 3\r\n\r\nxxx"
    with raw_server(says(answer)) as url:
        assert send(url).is_success


def test_one_that_speaks_no_tls_is_told_apart() -> None:
    with receiver_server() as server:
        assert send(server.url.replace("http:", "https:")).error == "It does not speak TLS"


def test_a_port_that_nobody_listens_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert send(f"http://127.0.0.1:{port}/").error == "It cannot be reached (ConnectionRefusedError)"


def test_a_name_is_looked_up_once_and_its_address_called(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that answers otherwise the second time would lead into our network."""
    asked = []

    def rebinding(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with receiver_server() as server:
        reply = send(server.url.replace("127.0.0.1", "receiver.example"))
    assert reply.is_success
    assert asked == ["receiver.example"]
    assert server.got[0].headers["host"].startswith("receiver.example:")


@pytest.mark.parametrize(
    "addresses", [["10.0.0.1"], ["8.8.8.8", "192.168.1.1"], ["fd00::1"], ["::ffff:169.254.169.254"]]
)
def test_a_name_that_leads_to_a_private_address_is_not_called(
    addresses: list[str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOK_NETWORKS = []

    def found(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    reply = send("https://metadata.example/")
    assert "is not on the public internet" in reply.error
    assert reply.status is None


def test_a_name_that_is_looked_up_for_ever_ends_with_the_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    settings.WEBHOOK_TIMEOUT = 0.3

    def hang(*_: object, **__: object) -> list[object]:
        over.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        assert send("https://slow.example/").error == "No answer within 0.3 s"
    finally:
        over.set()


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.0.0.1", "017700000001", "localhost"])
def test_other_spellings_of_this_machine_are_looked_through(host: str, settings: Settings) -> None:
    settings.WEBHOOK_NETWORKS = []
    reply = send(f"https://{host}:1/")
    assert "is not on the public internet" in reply.error or reply.error == "Its host is no name"


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver_server() as proxy, receiver_server() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert send(server.url).is_success
    assert (len(server.got), proxy.got) == (1, [])


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.com/", "https"),
        ("ftp://example.com/", "https"),
        ("https://", "https address"),
        ("https:///path", "https address"),
        ("https://user:secret@example.com/", "password"),
        ("https://user@example.com/", "password"),
        ("https://example.com/#part", "fragment"),
        ("https://exa mple.com/", "https address"),
        ("https://example.com/ö", "ASCII"),
        ("https://example.com:99999/", "no address"),
        ("https://[::1/", "no address"),
        ("https://127.0.0.1/", "public internet"),
        ("https://[::1]/", "public internet"),
        ("https://[::ffff:10.0.0.1]/", "public internet"),
        ("https://169.254.169.254/latest/meta-data", "public internet"),
        ("https://100.64.0.1/", "public internet"),
        ("https://224.0.0.1/", "public internet"),
        ("https://0.0.0.0/", "public internet"),
        ("https://example.com/" + "a" * 500, "500 characters"),
    ],
)
def test_what_is_refused_at_the_door(url: str, why: str, settings: Settings) -> None:
    settings.DEBUG, settings.WEBHOOK_NETWORKS = False, []
    assert why in refusal_of(url)


def test_named_networks_of_our_own_are_allowed(settings: Settings) -> None:
    settings.DEBUG, settings.WEBHOOK_NETWORKS = False, ["10.1.0.0/16"]
    assert refusal_of("https://10.1.2.3/hook") == ""
    assert refusal_of("https://10.2.2.3/hook") != ""
    assert refusal_of("https://example.com:8443/hook?a=b") == ""


def test_certificates_are_checked() -> None:
    trusted = receivers._trusted()
    assert (trusted.verify_mode, trusted.check_hostname) == (ssl.CERT_REQUIRED, True)
