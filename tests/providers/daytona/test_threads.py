from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sandboxes.providers import counters
from sandboxes.providers.daytona.gateway import DaytonaError
from sandboxes.providers.protocols import SandboxSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.providers.daytona.conftest import NewGateway
    from tests.support.emulator import Emulator
    from tests.support.gateway import BlockingGateway

THREADS = 16


def together(work: Callable[[int], object]) -> list[BaseException]:
    """Run `work(n)` in sixteen threads that begin at once; returns what they raised."""
    ready = threading.Barrier(THREADS)
    raised: list[BaseException] = []

    def run(number: int) -> None:
        ready.wait()
        try:
            work(number)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_sixteen_threads_share_one_gateway(gateway: BlockingGateway, emulator: Emulator) -> None:
    """From its very first call on, which is when the client package builds its validators."""
    keys = emulator.seed(count=THREADS, name="box-{n}")

    def work(number: int) -> None:
        key = keys[number]
        for round_ in range(5):
            assert gateway.get(key).id == key
            gateway.replace_labels(key, {"n": str(number), "round": str(round_)})
            assert gateway.get(key).labels == {"n": str(number), "round": str(round_)}
            assert len(gateway.list_page(id_prefix=key).items) == 1
        gateway.stop(key)

    assert together(work) == []
    assert len(emulator.log(action="stop")) == THREADS


def test_sixteen_creates_at_once_make_sixteen_sandboxes(new_gateway: NewGateway, emulator: Emulator) -> None:
    gateway = new_gateway()
    assert together(lambda number: gateway.create(SandboxSpec(name=f"box-{number}"))) == []
    assert emulator.state()["total"] == THREADS


def test_every_call_is_counted_with_its_end(gateway: BlockingGateway, emulator: Emulator) -> None:
    [key] = emulator.seed([{}])
    before = counters.snapshot()
    for call in (gateway.get, gateway.archive):
        for name in (key, "nobody"):
            try:
                call(name)
            except DaytonaError:
                continue
    after = counters.snapshot()
    made = {name: tally.calls - (before[name].calls if name in before else 0) for name, tally in after.items()}
    assert {name[1:]: calls for name, calls in made.items() if calls} == {
        ("get", "ok"): 1,
        ("get", "not_found"): 1,
        ("archive", "wrong_state"): 1,
        ("archive", "unknown"): 1,
    }
    assert all(tally.seconds > 0 for name, tally in after.items() if made[name] and name[2] == "ok")


def test_a_call_that_was_held_back_is_counted_as_such(new_gateway: NewGateway) -> None:
    gateway = new_gateway(api_key="dtn_wrong")
    key = ("daytona", "recover", "held_back")
    before = counters.snapshot().get(key)
    for _ in range(3):
        try:
            gateway.recover("x")
        except DaytonaError:
            continue
    assert counters.snapshot()[key].calls == (before.calls if before else 0) + 2
