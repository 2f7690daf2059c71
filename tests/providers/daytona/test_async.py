"""What only coroutines can do: be many in one thread, be cancelled, be of several loops; and a call's deadline."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import pytest
import structlog

from sandboxes.providers import blocking
from sandboxes.providers.daytona.gateway import DaytonaGateway, RateLimited, Unknown
from tests.providers.daytona.scripted import CUT, HANG, Slowly, answer, scripted
from tests.providers.daytona.test_transport import ALL, CHANGES, OK, SANDBOX, gateway_at
from tests.support.gateway import BlockingGateway
from tests.support.waiting import PATIENCE, wait_until

AT_ONCE = 200
HELD = ("create", "start", "recover")


def patient(url: str, **options: Any) -> DaytonaGateway:
    options = {"connect_timeout": PATIENCE, "read_timeout": PATIENCE, "hold_timeout": PATIENCE} | options
    return DaytonaGateway(api_url=url, api_key="dtn_key", **options)


# the deadline


@pytest.mark.parametrize("name", ALL)
def test_an_answer_that_drips_ends_at_the_deadline_and_is_not_repeated(name: str) -> None:
    """Each byte comes in time, the answer does not."""
    with scripted(Slowly(OK, pause=0.05)) as server, gateway_at(server.url, patience=0.6) as gateway:
        began = time.monotonic()
        with pytest.raises(Unknown, match="no whole answer") as raised:
            ALL[name](gateway)
        assert time.monotonic() - began > 0.5
        assert raised.value.sent
        assert not raised.value.dropped
        wait_until(lambda: len(server.seen) == 1, what="the one request: we may give up before it is read")


@pytest.mark.parametrize("name", ALL)
def test_what_daytona_holds_has_a_deadline_of_its_own(name: str) -> None:
    given = {"hold_timeout": 0.2} if name in HELD else {"read_timeout": 0.2}
    with scripted(HANG) as server:
        gateway = BlockingGateway(patient(server.url, **given))
        with pytest.raises(Unknown, match=r"within 0\.\d+ s"):
            ALL[name](gateway)
        gateway.close()


def test_all_tries_of_a_read_have_one_deadline() -> None:
    with scripted(CUT, HANG) as server, gateway_at(server.url, patience=0.5) as gateway:
        with pytest.raises(Unknown, match=r"within 0\.[1-4]\d* s"):
            gateway.get("4b61")
        assert len(server.seen) == 2


def test_an_answer_without_end_is_not_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandboxes.providers.daytona.connections.LARGEST_ANSWER", 1_000)
    with scripted(answer(200, SANDBOX | {"padding": "x" * 1_000})) as server, gateway_at(server.url) as gateway:
        with pytest.raises(Unknown, match="more than 1000 bytes") as raised:
            gateway.get("4b61")
        assert raised.value.sent
        assert len(server.seen) == 1


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_on_a_connection_that_is_lost_is_sent_once(name: str) -> None:
    """aiohttp would send a PUT or DELETE again, on a connection that was used before."""
    with scripted(OK, CUT) as server, gateway_at(server.url) as gateway:
        gateway.get("4b61")
        with pytest.raises(Unknown) as raised:
            CHANGES[name](gateway)
        assert raised.value.sent
        assert [seen.connection for seen in server.seen] == [1, 1]


# many at once


def test_many_calls_wait_in_one_thread() -> None:
    """None is answered before all have arrived."""
    with scripted(HANG) as server:

        async def all_of_them() -> list[object]:
            gateway = patient(server.url)
            calls = [asyncio.create_task(gateway.get(f"box-{number}")) for number in range(AT_ONCE)]
            while len(server.seen) < AT_ONCE:
                await asyncio.sleep(0.01)
            server.closing.set()
            return list(await asyncio.gather(*calls, return_exceptions=True))

        threads = threading.active_count()
        found = asyncio.run(asyncio.wait_for(all_of_them(), PATIENCE))
        assert len({seen.connection for seen in server.seen[:AT_ONCE]}) == AT_ONCE
        assert all(isinstance(one, Unknown) for one in found)
        wait_until(lambda: threading.active_count() <= threads, what="the end of the server's threads")


def test_a_pause_that_daytona_asks_for_holds_for_every_loop() -> None:
    limited = answer(429, {"message": "later"}, headers={"Retry-After": "30"})
    with scripted(limited) as server:
        gateway = patient(server.url)
        for _ in range(3):
            with pytest.raises(RateLimited):
                asyncio.run(gateway.get("4b61"))
        assert len(server.seen) == 1


# loops


def test_two_loops_use_one_gateway_at_the_same_time() -> None:
    with scripted(OK) as server:
        gateway = patient(server.url)
        both = threading.Barrier(2)
        raised: list[BaseException] = []

        async def ask() -> None:
            both.wait()
            for _ in range(5):
                await gateway.get("4b61")

        def work() -> None:
            try:
                asyncio.run(ask())
            except BaseException as error:
                raised.append(error)

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert raised == []
        assert {seen.connection for seen in server.seen} == {1, 2}


def test_a_loop_that_ends_closes_its_connections() -> None:
    with scripted(OK) as server:
        gateway = patient(server.url)
        for number in range(1, 4):
            asyncio.run(gateway.get("4b61"))
            assert server.closed.acquire(timeout=PATIENCE)
            assert len(server.seen) == number


def test_a_closed_gateway_opens_again() -> None:
    with scripted(OK) as server, gateway_at(server.url) as gateway:
        for _ in range(2):
            gateway.get("4b61")
            gateway.close()
            assert server.closed.acquire(timeout=PATIENCE)
        assert [seen.connection for seen in server.seen] == [1, 2]


def test_a_dropped_gateway_closes_its_connections_in_every_loop() -> None:
    with scripted(OK) as server:
        gateway = patient(server.url)
        blocking.run(gateway.get("4b61"))

        async def drop() -> None:
            await gateway.get("4b61")
            gateway.drop()
            for _ in range(2):
                assert await asyncio.to_thread(server.closed.acquire, timeout=PATIENCE)

        asyncio.run(asyncio.wait_for(drop(), PATIENCE))


# ends


def test_a_cancelled_call_drops_its_connection_and_the_next_one_works() -> None:
    with scripted(HANG, OK) as server:

        async def cancel() -> None:
            before = asyncio.all_tasks()
            gateway = patient(server.url)
            call = asyncio.create_task(gateway.change("start", "4b61"))
            while not server.seen:
                await asyncio.sleep(0.01)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert (await gateway.get("4b61")).id == "4b61"
            assert asyncio.all_tasks() == before

        asyncio.run(asyncio.wait_for(cancel(), PATIENCE))
        assert [seen.connection for seen in server.seen] == [1, 2]


def test_a_call_that_is_cancelled_while_it_connects_leaves_nothing() -> None:
    async def cancel() -> None:
        before = asyncio.all_tasks()
        gateway = patient("http://10.255.255.1/api")
        call = asyncio.create_task(gateway.change("start", "4b61"))
        await asyncio.sleep(0)
        call.cancel()
        with suppress(asyncio.CancelledError, Unknown):  # where there is no route it has ended by itself
            await call
        assert asyncio.all_tasks() == before

    asyncio.run(asyncio.wait_for(cancel(), PATIENCE))


# what is sent and said


@pytest.mark.parametrize(
    ("bound", "sent"),
    [
        ("req-1", "req-1"),
        ("", None),
        (None, None),
        ("ü", None),
        ("a\nb", None),
        ("x" * 100, "x" * 100),
        ("x" * 101, None),
    ],
)
def test_the_id_of_the_request_is_sent(bound: object, sent: str | None) -> None:
    with scripted(OK) as server, gateway_at(server.url) as gateway:
        with structlog.contextvars.bound_contextvars(request_id=bound):
            gateway.get("4b61")
        gateway.get("4b61")
    assert [seen.headers.get("x-request-id") for seen in server.seen] == [sent, None]


def test_a_call_is_one_line_with_what_the_caller_has_bound(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level("INFO", logger="sandboxes"),
        scripted(OK, CUT) as server,
        gateway_at(server.url) as gateway,
    ):
        with structlog.contextvars.bound_contextvars(sandbox_id="box", operation_id="op"):
            gateway.get("4b61")
        with pytest.raises(Unknown):
            gateway.start("4b61")
    lines: list[Any] = [record.msg for record in caplog.records if record.name.startswith("sandboxes")]
    assert [(line["event"], line["operation"], line["result"]) for line in lines] == [
        ("call", "get", "ok"),
        ("call", "start", "unknown"),
    ]
    assert (lines[0]["system"], lines[0]["sandbox_id"], lines[0]["operation_id"]) == ("daytona", "box", "op")
    assert lines[0]["ms"] > 0


def main_thread_waits() -> bool:
    frame = sys._current_frames()[threading.main_thread().ident or 0]
    return frame.f_code.co_filename == threading.__file__ and frame.f_code.co_name == "wait"


def test_the_wait_for_a_coroutine_may_be_broken_off() -> None:
    """As by Ctrl-C: the coroutine is cancelled."""
    begun, cancelled = threading.Event(), threading.Event()

    async def forever() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    def interrupt() -> None:
        begun.wait(PATIENCE)
        wait_until(main_thread_waits, what="the wait that is to be broken off")
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs behind it
    try:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            blocking.run(forever())
    finally:
        signal.signal(signal.SIGINT, before)
    assert cancelled.wait(PATIENCE)
