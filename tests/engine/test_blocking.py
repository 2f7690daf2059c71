"""Coroutines for callers that are not async, and functions for coroutines that may not wait."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from django.db import connection

from sandboxes.engine.database import DatabaseThreads
from sandboxes.models import Owner
from sandboxes.providers import blocking
from tests.support import rows

if TYPE_CHECKING:
    from sandboxes.providers.blocking import InCaller


def where() -> str:
    return threading.current_thread().name


def test_parts_run_in_the_thread_of_the_caller_and_the_rest_does_not() -> None:
    async def whole(in_caller: InCaller) -> tuple[str, str]:
        return await in_caller(where), where()

    inside, outside = blocking.run_with_caller(whole)
    assert inside == where()
    assert outside != where()


@pytest.mark.django_db
def test_a_part_sees_the_callers_transaction() -> None:
    rows.owner("alice")

    async def whole(in_caller: InCaller) -> int:
        return await in_caller(Owner.objects.count) + await in_caller(lambda: int(connection.in_atomic_block))

    assert blocking.run_with_caller(whole) == 2


def test_what_a_part_raises_is_raised_where_it_was_awaited() -> None:
    def broken() -> None:
        raise LookupError("in the part")

    async def whole(in_caller: InCaller) -> str:
        try:
            await in_caller(broken)
        except LookupError as error:
            return f"caught {error}"
        return ""

    assert blocking.run_with_caller(whole) == "caught in the part"


def test_what_the_coroutine_raises_comes_through() -> None:
    async def whole(in_caller: InCaller) -> None:
        await in_caller(where)
        raise LookupError("in the coroutine")

    with pytest.raises(LookupError, match="in the coroutine"):
        blocking.run_with_caller(whole)


def test_several_parts_of_one_coroutine_run_one_after_the_other() -> None:
    running: list[int] = []

    def part(number: int) -> int:
        running.append(number)
        assert len(running) == 1
        running.remove(number)
        return number

    async def whole(in_caller: InCaller) -> list[int]:
        return await asyncio.gather(*[in_caller(part, number) for number in range(10)])

    assert blocking.run_with_caller(whole) == list(range(10))


def test_two_callers_do_not_wait_for_each_other() -> None:
    """Each waits, in its coroutine, for the other to have come as far."""
    arrived = [asyncio.Event(), asyncio.Event()]
    answers: list[int] = []

    def caller(number: int) -> None:
        async def whole(in_caller: InCaller) -> int:
            arrived[number].set()
            await arrived[1 - number].wait()
            return await in_caller(lambda: number)

        answers.append(blocking.run_with_caller(whole))

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == [0, 1]


def test_an_interrupt_in_a_part_cancels_the_coroutine_whose_last_parts_still_run() -> None:
    """As somebody who ends a command with Ctrl-C; what it held is given back, and the next one runs."""
    given_back: list[str] = []

    def interrupted() -> None:
        raise KeyboardInterrupt

    async def whole(in_caller: InCaller) -> None:
        try:
            await in_caller(interrupted)
        finally:
            await asyncio.shield(in_caller(lambda: given_back.append(where())))

    async def next_one(in_caller: InCaller) -> str:
        return await in_caller(where)

    with pytest.raises(KeyboardInterrupt):
        blocking.run_with_caller(whole)
    assert given_back == [where()]
    assert blocking.run_with_caller(next_one) == where()


# The threads of the worker


@pytest.mark.django_db(transaction=True)
def test_the_workers_threads_have_connections_of_their_own_and_end_with_them() -> None:
    rows.owner("alice")

    async def run() -> tuple[int, str, list[str]]:
        threads = DatabaseThreads(2, name="here")
        try:
            names = await asyncio.gather(*[threads(where) for _ in range(8)])
            return await threads(Owner.objects.count), await threads(vendor), list(names)
        finally:
            await asyncio.to_thread(threads.close)

    count, found, names = asyncio.run(run())
    assert (count, found) == (1, connection.vendor)
    assert {name.split("_")[0] for name in names} == {"here"}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("here")]


def vendor() -> str:
    return connection.vendor


def backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def terminate(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_has_cut_costs_nobody_anything() -> None:
    async def run() -> tuple[int, int]:
        threads = DatabaseThreads(1, name="here")
        try:
            before = await threads(backend)
            await asyncio.to_thread(blocked, before)
            return before, await threads(backend)
        finally:
            await asyncio.to_thread(threads.close)

    def blocked(pid: int) -> None:
        try:
            terminate(pid)
        finally:
            connection.close()

    before, after = asyncio.run(run())
    assert before != after
