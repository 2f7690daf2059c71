"""What the gateway makes of lost connections, silence and odd answers; and that it never repeats a change."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from project.version import USER_AGENT
from sandboxes.providers.daytona.gateway import DaytonaGateway, RateLimited, Rejected, Unknown
from sandboxes.providers.protocols import SandboxSpec
from tests.providers.daytona.scripted import CUT, HANG, answer, scripted
from tests.support.gateway import BlockingGateway
from tests.support.waiting import PATIENCE, wait_until

SANDBOX = {"id": "4b61", "name": "alpha", "state": "started", "desiredState": "started"}
OK = answer(200, SANDBOX)
CHANGES: dict[str, Callable[[BlockingGateway], object]] = {
    "create": lambda gateway: gateway.create(SandboxSpec(name="alpha")),
    "start": lambda gateway: gateway.start("4b61"),
    "stop": lambda gateway: gateway.stop("4b61"),
    "archive": lambda gateway: gateway.archive("4b61"),
    "delete": lambda gateway: gateway.delete("4b61"),
    "recover": lambda gateway: gateway.recover("4b61"),
    "replace_labels": lambda gateway: gateway.replace_labels("4b61", {"a": "b"}),
    "keep_alive": lambda gateway: gateway.keep_alive("4b61"),
    "set_auto_stop": lambda gateway: gateway.set_auto_stop("4b61", 5),
    "set_auto_archive": lambda gateway: gateway.set_auto_archive("4b61", 5),
    "set_auto_delete": lambda gateway: gateway.set_auto_delete("4b61", -1),
}
READS: dict[str, Callable[[BlockingGateway], object]] = {
    "get": lambda gateway: gateway.get("4b61"),
    "list_page": lambda gateway: gateway.list_page(),
}
ALL = {**CHANGES, **READS}
every_call = pytest.mark.parametrize("call", ALL.values(), ids=ALL.keys())
every_change = pytest.mark.parametrize("call", CHANGES.values(), ids=CHANGES.keys())
every_read = pytest.mark.parametrize("call", READS.values(), ids=READS.keys())
Call = Callable[[BlockingGateway], object]


@contextmanager
def gateway_at(url: str, *, patience: float = PATIENCE) -> Iterator[BlockingGateway]:
    """`patience` in seconds: short only where nobody answers, because a busy machine answers late."""
    gateway = BlockingGateway(
        DaytonaGateway(
            api_url=url,
            api_key="dtn_key",
            connect_timeout=patience,
            read_timeout=patience,
            hold_timeout=patience,
        )
    )
    try:
        yield gateway
    finally:
        gateway.close()


@every_call
def test_silence_ends_at_the_read_timeout_and_is_not_repeated(call: Call) -> None:
    with scripted(HANG) as server, gateway_at(server.url, patience=1.0) as gateway:
        began = time.monotonic()
        with pytest.raises(Unknown) as raised:
            call(gateway)
        assert time.monotonic() - began > 0.9
        wait_until(lambda: server.seen, what="the request")
        assert len(server.seen) == 1
        assert raised.value.sent
        assert not raised.value.outcome_known
        assert not raised.value.outcome_known
        assert raised.value.status is None


@every_change
def test_a_change_whose_connection_is_lost_is_sent_once(call: Call) -> None:
    with scripted(CUT) as server, gateway_at(server.url) as gateway:
        with pytest.raises(Unknown) as raised:
            call(gateway)
        assert len(server.seen) == 1
        assert raised.value.dropped
        assert not raised.value.outcome_known


@every_read
def test_a_read_whose_connection_is_lost_is_tried_three_times(call: Call) -> None:
    with scripted(CUT) as server, gateway_at(server.url) as gateway:
        with pytest.raises(Unknown) as raised:
            call(gateway)
        assert len(server.seen) == 3
        assert raised.value.dropped


def test_a_read_that_works_the_second_time_has_worked() -> None:
    with scripted(CUT, OK) as server, gateway_at(server.url) as gateway:
        assert gateway.get("4b61").id == "4b61"
        assert len(server.seen) == 2


@pytest.mark.parametrize("status", [502, 504])
def test_a_read_that_a_proxy_could_not_pass_on_is_tried_again(status: int) -> None:
    with scripted(answer(status, b"<html>"), OK) as server, gateway_at(server.url) as gateway:
        assert gateway.get("4b61").id == "4b61"
        assert len(server.seen) == 2


@pytest.mark.parametrize("status", [500, 503])
def test_a_read_that_daytona_failed_is_not_tried_again(status: int) -> None:
    with scripted(answer(status, {"message": "no"})) as server, gateway_at(server.url) as gateway:
        with pytest.raises(Unknown):
            gateway.get("4b61")
        assert len(server.seen) == 1


@every_change
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_change_that_failed_is_never_repeated(call: Call, status: int) -> None:
    step = answer(status, {"message": "no"}, headers={"Retry-After": "0"})
    with scripted(step) as server, gateway_at(server.url) as gateway:
        with pytest.raises(Unknown) as raised:
            call(gateway)
        assert len(server.seen) == 1
        assert raised.value.status == status


@every_call
@pytest.mark.parametrize("status", [429, 503, 413])
def test_a_plain_retry_after_is_never_slept_through(call: Call, status: int) -> None:
    """A client with retries of its own would do so with a GET, PUT or DELETE."""
    step = answer(status, {"message": "later"}, headers={"Retry-After": "1"})
    with scripted(step) as server, gateway_at(server.url) as gateway:
        with pytest.raises((RateLimited, Unknown, Rejected)):
            call(gateway)
        assert len(server.seen) == 1


@every_call
def test_a_redirect_is_not_followed(call: Call) -> None:
    """It would carry the key to another place."""
    with scripted(OK) as elsewhere:
        step = answer(307, {"message": "over there"}, headers={"Location": elsewhere.url + "/sandbox/4b61"})
        with scripted(step) as server, gateway_at(server.url) as gateway:
            with pytest.raises(Unknown):
                call(gateway)
            assert elsewhere.seen == []


@every_call
def test_a_refused_connection_leaves_nothing_open(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with gateway_at(f"http://127.0.0.1:{port}/api") as gateway:
        with pytest.raises(Unknown) as raised:
            call(gateway)
        assert not raised.value.sent
        assert raised.value.outcome_known
        assert raised.value.outcome_known
        assert "ConnectionRefusedError" in raised.value.message


def test_a_connection_that_is_never_accepted_ends_at_the_connect_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        fillers = []
        for _ in range(4):  # a full queue: further connections get no answer at all
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            fillers.append(filler)
        try:
            with gateway_at(f"http://127.0.0.1:{address[1]}/api", patience=1.0) as gateway:
                began = time.monotonic()
                with pytest.raises(Unknown) as raised:
                    gateway.start("4b61")
                assert time.monotonic() - began > 0.9
                assert not raised.value.sent
        finally:
            for filler in fillers:
                filler.close()


def test_a_host_that_does_not_exist_leaves_nothing_open() -> None:
    with gateway_at("http://nowhere.invalid/api") as gateway, pytest.raises(Unknown) as raised:
        gateway.start("4b61")
    assert not raised.value.sent


def test_a_server_that_speaks_no_tls_is_told_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        speaker = threading.Thread(target=_speak_plainly, args=(listener,))
        speaker.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/api"
        with gateway_at(url) as gateway, pytest.raises(Unknown) as raised:
            gateway.stop("4b61")
        speaker.join()
    assert "SSLError" in raised.value.message


def _speak_plainly(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.recv(10_000)


@every_call
def test_a_body_that_is_cut_short_leaves_the_outcome_open(call: Call) -> None:
    step = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"
    with scripted(step, close_after=True) as server, gateway_at(server.url) as gateway:
        with pytest.raises(Unknown) as raised:
            call(gateway)
        assert raised.value.dropped
        assert len(server.seen) == (3 if call in READS.values() else 1)


@every_call
def test_an_answer_that_is_not_http_leaves_the_outcome_open(call: Call) -> None:
    with scripted(b"220 mail.example.org ready\r\n\r\n", close_after=True) as server:
        with gateway_at(server.url) as gateway, pytest.raises(Unknown) as raised:
            call(gateway)
        assert not raised.value.outcome_known


WITH_BODY = {
    **READS,
    **{name: CHANGES[name] for name in ("create", "start", "stop", "archive", "delete", "recover")},
}


@pytest.mark.parametrize("call", WITH_BODY.values(), ids=WITH_BODY.keys())
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"7", b'{"id": ""}', b'{"id": 7}', b'{"name": "x"}', b"\xff"]
)
def test_a_success_without_a_sandbox_leaves_the_outcome_open(call: Call, body: bytes) -> None:
    with scripted(answer(200, body)) as server, gateway_at(server.url) as gateway:
        with pytest.raises(Unknown) as raised:
            call(gateway)
        assert not raised.value.outcome_known
        assert len(server.seen) == 1


WITHOUT_BODY = {name: call for name, call in CHANGES.items() if name not in WITH_BODY}


@pytest.mark.parametrize("call", WITHOUT_BODY.values(), ids=WITHOUT_BODY.keys())
@pytest.mark.parametrize("status", [200, 201, 204])
def test_changes_of_a_detail_need_no_body(call: Call, status: int) -> None:
    with scripted(answer(status, b"")) as server, gateway_at(server.url) as gateway:
        call(gateway)
        assert len(server.seen) == 1


def test_a_connection_is_used_again() -> None:
    with scripted(OK) as server, gateway_at(server.url) as gateway:
        for _ in range(5):
            gateway.get("4b61")
        assert {seen.connection for seen in server.seen} == {1}


def test_a_pooled_connection_that_the_server_closed_is_not_used_for_a_change() -> None:
    """Daytona closes idle connections after five seconds (`Keep-Alive: timeout=5` in every recording)."""
    with scripted(OK, close_after=True) as server, gateway_at(server.url) as gateway:
        for number in range(1, 4):
            gateway.stop("4b61")
            assert server.closed.acquire(timeout=PATIENCE)
            assert len(server.seen) == number


def test_a_pooled_connection_that_closes_under_a_read_is_replaced() -> None:
    """The race that a look at the socket cannot see: the server hangs up as it receives the next request."""
    with scripted(OK, CUT, OK) as server, gateway_at(server.url) as gateway:
        gateway.get("4b61")
        gateway.get("4b61")
        assert [seen.connection for seen in server.seen] == [1, 1, 2]


def test_what_is_sent() -> None:
    with scripted(OK) as server, gateway_at(server.url) as gateway:
        gateway.create(SandboxSpec(name="alpha", cpu=2, labels={"a": "b"}, auto_stop=15, auto_delete=-1))
        seen = server.seen[0]
    assert seen.line == "POST /api/sandbox HTTP/1.1"
    assert seen.headers["authorization"] == "Bearer dtn_key"
    assert seen.headers["user-agent"] == USER_AGENT
    assert json.loads(seen.body) == {
        "name": "alpha",
        "cpu": 2,
        "labels": {"a": "b"},
        "autoStopInterval": 15,
        "autoDeleteInterval": -1,
    }


@pytest.mark.parametrize("name", ["", " ", ".", "..", ". ."])
def test_a_name_that_would_be_another_path_is_refused(name: str) -> None:
    with scripted(OK) as server, gateway_at(server.url) as gateway:
        for call in (gateway.get, gateway.start, gateway.delete, gateway.keep_alive):
            with pytest.raises(ValueError, match="not an id"):
                call(name)
        assert server.seen == []


@pytest.mark.parametrize("name", ["a/../b", "a?x=1", "a#b", "ünï", "a b", "%2e%2e"])
def test_a_name_stays_within_its_place_in_the_path(name: str) -> None:
    with scripted(OK) as server, gateway_at(server.url) as gateway:
        gateway.get(name)
        path = server.seen[0].line.split(" ")[1]
    assert path.startswith("/api/sandbox/")
    assert path.count("/") == 3
    assert "?" not in path
