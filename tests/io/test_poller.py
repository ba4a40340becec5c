"""What watches the sockets, both ways: by an epoll of our own, and by the loop."""

import asyncio
import contextvars
import gc
import socket
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from sumida.io._poller import (
    READ,
    WRITE,
    EpollPoller,
    LoopPoller,
    Poller,
    poller_of,
)
from tests.support import LOOP_KINDS

Make = Callable[[], Poller]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="epoll is Linux's")


def by_epoll() -> Poller:
    """Make the one of Linux."""
    poller = poller_of(asyncio.get_running_loop())
    assert isinstance(poller, EpollPoller)
    return poller


def by_the_loop() -> Poller:
    """Make the one of the other systems."""
    return LoopPoller(asyncio.get_running_loop())


@pytest.fixture(params=[by_epoll, by_the_loop])
def make(request: pytest.FixtureRequest) -> Make:
    """Give each way in turn."""
    chosen: Make = request.param
    return chosen


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Give two sockets that are connected."""
    one, other = socket.socketpair()
    with one, other:
        one.setblocking(False)
        other.setblocking(False)
        yield one, other


Ends = tuple[socket.socket, socket.socket]


async def until(seen: list[int], count: int) -> None:
    """Let the loop run until so much was seen."""
    async with asyncio.timeout(60):
        while len(seen) < count:
            await asyncio.sleep(0)


def test_it_tells_what_a_descriptor_is_ready_for(make: Make, ends: Ends) -> None:
    """What is watched for can be changed, and be ended."""

    async def main() -> list[int]:
        one, other = ends
        poller = make()
        fd = one.fileno()
        seen: list[int] = []

        def handle(mask: int) -> None:
            seen.append(mask)
            poller.forget(fd)

        poller.watch(fd, WRITE, handle)
        await until(seen, 1)
        poller.watch(fd, READ, handle)
        await asyncio.sleep(0)
        assert len(seen) == 1
        other.send(b"x")
        await until(seen, 2)
        # It has been forgotten, and there is something to read.
        await asyncio.sleep(0)
        poller.watch(fd, READ | WRITE, seen.append)
        await until(seen, 3)
        poller.watch(fd, WRITE, seen.append)
        del seen[3:]
        await until(seen, 4)
        poller.watch(fd, READ, seen.append)
        del seen[4:]
        await until(seen, 5)
        poller.forget(fd)
        poller.forget(fd)
        return seen[:5]

    first, second, third, fourth, fifth = asyncio.run(main())
    assert first == fourth == WRITE
    assert second == fifth == READ
    assert third & READ


def test_who_is_forgotten_in_the_same_turn_is_not_called(ends: Ends) -> None:
    """Two are ready; the first to be called forgets the other."""

    async def main() -> list[int]:
        poller = by_epoll()
        for end in ends:
            end.send(b"x")
        fds = [end.fileno() for end in ends]
        seen: list[int] = []

        def handler_of(fd: int, other: int) -> Callable[[int], None]:
            def handle(_mask: int) -> None:
                seen.append(fd)
                poller.forget(other)
                poller.forget(fd)

            return handle

        poller.watch(fds[0], READ, handler_of(fds[0], fds[1]))
        poller.watch(fds[1], READ, handler_of(fds[1], fds[0]))
        await until(seen, 1)
        for _ in range(3):
            await asyncio.sleep(0)
        return seen

    assert len(asyncio.run(main())) == 1


def test_one_that_was_closed_by_somebody_else_is_forgotten(ends: Ends) -> None:
    """Its number may be another's by then, which is watched like any other."""

    async def main() -> int:
        one, _ = ends
        poller = by_epoll()
        fd = one.fileno()
        poller.watch(fd, READ, lambda _mask: None)
        one.close()
        poller.forget(fd)
        again, other = socket.socketpair()
        with again, other:
            seen: list[int] = []
            poller.watch(again.fileno(), READ, seen.append)
            other.send(b"x")
            await until(seen, 1)
            poller.forget(again.fileno())
        return seen[0]

    assert asyncio.run(main()) == READ


def test_who_waits_for_a_turn_has_it(ends: Ends) -> None:
    """A handler that makes itself ready again lets the tasks run each time."""

    async def main() -> list[int]:
        one, other = ends
        poller = by_epoll()
        seen: list[int] = []

        def handle(mask: int) -> None:
            seen.append(mask)
            one.recv(1)
            other.send(b"x")

        poller.watch(one.fileno(), READ, handle)
        other.send(b"x")
        counts = []
        for _ in range(20):
            await asyncio.sleep(0)
            counts.append(len(seen))
        poller.forget(one.fileno())
        return counts

    counts = asyncio.run(main())
    steps = [after - before for before, after in pairwise(counts)]
    assert max(steps) == 1


def test_what_comes_meanwhile_costs_no_turn(ends: Ends) -> None:
    """Where nobody else waits; and a timer comes although something is always ready."""

    async def main() -> tuple[int, int]:
        one, other = ends
        loop = asyncio.get_running_loop()
        poller = by_epoll()
        turns: list[int] = []
        seen: list[int] = []
        done = loop.create_future()
        selector = loop._selector  # type: ignore[attr-defined]  # asyncio's own
        select = selector.select

        def counted(timeout: float | None = None) -> object:
            turns.append(1)
            return select(timeout)

        def handle(mask: int) -> None:
            seen.append(mask)
            one.recv(1)
            other.send(b"x")

        def end() -> None:
            poller.forget(one.fileno())
            done.set_result(None)

        poller.watch(one.fileno(), READ, handle)
        other.send(b"x")
        selector.select = counted
        loop.call_later(0.02, end)
        await done
        del selector.select
        return len(seen), len(turns)

    seen, turns = asyncio.run(main())
    assert 64 * (turns - 2) < seen <= 128 * turns


def test_it_runs_in_nobodys_context(make: Make, ends: Ends) -> None:
    """Not in that of the task which was the first to use it."""
    if make is by_the_loop:
        pytest.skip("it is made for each call there, in the caller's")
    variable = contextvars.ContextVar("variable", default="nobody's")

    async def main() -> str:
        variable.set("the first task's")
        one, _ = ends
        poller = make()
        seen: list[str] = []

        def handle(_mask: int) -> None:
            seen.append(variable.get())
            poller.forget(one.fileno())

        poller.watch(one.fileno(), WRITE, handle)
        while not seen:
            await asyncio.sleep(0)
        return seen[0]

    assert asyncio.run(main()) == "nobody's"


def test_each_loop_has_one_and_takes_it_along() -> None:
    """It is the same for all on a loop; its descriptor goes with the loop."""
    folder = Path("/proc/self/fd")
    gc.collect()
    before = len([*folder.iterdir()])

    async def main() -> bool:
        return by_epoll() is by_epoll()

    for _ in range(3):
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(main())
        loop.close()
        assert len([*folder.iterdir()]) == before


def test_other_loops_have_none() -> None:
    """Uvloop's own transports are as quick."""
    kind = next(kind for kind in LOOP_KINDS if kind.uvloop)
    if kind.why_not:
        pytest.skip(kind.why_not)
    loop = kind.make()
    try:
        assert poller_of(loop) is None
    finally:
        loop.close()


def test_elsewhere_the_loop_itself_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no epoll on macOS."""
    monkeypatch.setattr(sys, "platform", "darwin")
    loop = asyncio.new_event_loop()
    try:
        assert isinstance(poller_of(loop), LoopPoller)
    finally:
        loop.close()


def test_a_repr_tells_how_many(make: Make, ends: Ends) -> None:
    """Of what is watched."""

    async def main() -> str:
        poller = make()
        poller.watch(ends[0].fileno(), READ, lambda _mask: None)
        text = repr(poller)
        poller.forget(ends[0].fileno())
        return text

    assert asyncio.run(main()) in {"<EpollPoller of 1>", "<LoopPoller of 1>"}
