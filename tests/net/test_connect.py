"""From a name to a connected socket: lookups, and addresses tried side by side."""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable

import pytest

from sumida.errors import ConnectError
from sumida.net import TcpStream, _connect
from sumida.net._connect import Address, connect_socket, resolve, show_address
from sumida.net._options import Options
from sumida.testing import run_paused, turns
from tests.support import Run

LOCAL = "127.0.0.1"
DEAD = (socket.AF_INET6, ("2001:db8::1", 80))
SLOW = (socket.AF_INET, ("192.0.2.1", 80))
GOOD = (socket.AF_INET, ("192.0.2.2", 80))


class World:
    """Addresses that answer as they are told to, without a network.

    Args:
        behaviour: What each address does: refuses after some seconds, answers after
            some, or never; None is never.
    """

    def __init__(self, behaviour: dict[Address, tuple[str, float] | None]) -> None:
        self.behaviour = behaviour
        self.begun: list[tuple[Address, float]] = []
        self.opened: list[socket.socket] = []

    async def resolve(self, _host: str, _port: int) -> list[Address]:
        """Give the addresses."""
        return list(self.behaviour)

    async def connect(
        self, address: Address, _options: Options, _local: object
    ) -> socket.socket:
        """Do as told."""
        self.begun.append((address, asyncio.get_running_loop().time()))
        told = self.behaviour[address]
        if told is None:
            await asyncio.get_running_loop().create_future()
            raise AssertionError
        kind, after = told
        await asyncio.sleep(after)
        if kind == "refuse":
            raise ConnectionRefusedError(111, "refused")
        sock = socket.socket()
        self.opened.append(sock)
        return sock

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Take the network's place."""
        patch.setattr(_connect, "resolve", self.resolve)
        patch.setattr(_connect, "_connect_one", self.connect)

    async def run(self) -> socket.socket:
        """Connect."""
        return await connect_socket("name", 80, Options(), None)


@pytest.fixture
def in_world(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[dict[Address, tuple[str, float] | None]], World]:
    """Make a world and install it."""

    def make(behaviour: dict[Address, tuple[str, float] | None]) -> World:
        world = World(behaviour)
        world.install(monkeypatch)
        return world

    return make


MakeWorld = Callable[[dict[Address, tuple[str, float] | None]], World]


def test_families_take_turns_a_quarter_of_a_second_apart(in_world: MakeWorld) -> None:
    """RFC 8305: the preferred one first, then the other family's, and so on."""
    six = [(socket.AF_INET6, (f"2001:db8::{n}", 80)) for n in (1, 2, 3)]
    four = [(socket.AF_INET, (f"192.0.2.{n}", 80)) for n in (1, 2)]
    world = in_world({**dict.fromkeys(six), four[0]: None, four[1]: ("answer", 0.01)})
    sock = run_paused(world.run)
    sock.close()

    order = [address for address, _ in world.begun]
    times = [round(when, 3) for _, when in world.begun]
    assert order == [six[0], four[0], six[1], four[1]]
    assert times == [0, 0.25, 0.5, 0.75]


def test_a_refusal_does_not_wait_for_the_next_turn(in_world: MakeWorld) -> None:
    """The next address is tried as soon as one has failed."""
    world = in_world(
        {DEAD: ("refuse", 0.01), SLOW: ("refuse", 0.02), GOOD: ("answer", 0)}
    )
    run_paused(world.run).close()

    assert [round(when, 3) for _, when in world.begun] == [0, 0.01, 0.03]


def test_an_early_one_may_still_win(in_world: MakeWorld) -> None:
    """A slow answer counts, and who comes second is closed."""
    world = in_world({DEAD: ("answer", 0.3), SLOW: ("answer", 5)})
    sock = run_paused(world.run)

    assert sock is world.opened[0]
    assert len(world.begun) == 2
    sock.close()


def test_of_two_that_answer_at_once_one_is_closed(in_world: MakeWorld) -> None:
    """No socket is left over."""
    world = in_world({DEAD: ("answer", 0.35), SLOW: ("answer", 0.1)})
    sock = run_paused(world.run)

    assert [each.fileno() >= 0 for each in world.opened].count(True) == 1
    sock.close()


def test_all_failures_are_named(in_world: MakeWorld) -> None:
    """In the order in which they came."""
    world = in_world({DEAD: ("refuse", 0.5), SLOW: ("refuse", 0.1)})
    with pytest.raises(ConnectError) as caught:
        run_paused(world.run)

    assert [failure.split(": ")[0] for failure in caught.value.failures] == [
        "192.0.2.1:80",
        "[2001:db8::1]:80",
    ]


def test_a_cancel_ends_every_attempt(in_world: MakeWorld) -> None:
    """No task and no socket is left."""
    world = in_world({DEAD: None, SLOW: None, GOOD: None})

    async def main() -> int:
        connecting = asyncio.create_task(world.run())
        await asyncio.sleep(10)
        before = len(asyncio.all_tasks())
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        return before - len(asyncio.all_tasks())

    assert run_paused(main) == 4


def test_a_cancelled_connect_leaves_no_descriptor(run: Run) -> None:
    """With real sockets, in every turn."""

    async def main() -> set[int]:
        counts = set()
        with socket.create_server((LOCAL, 0)) as server:
            server.setblocking(False)
            # uvloop keeps a descriptor that it opens with the first one.
            async with await TcpStream.connect(LOCAL, server.getsockname()[1]):
                server.accept()[0].close()
            await turns(5)
            for steps in range(1, 12):
                connecting = asyncio.create_task(
                    TcpStream.connect(LOCAL, server.getsockname()[1])
                )
                await turns(steps)
                connecting.cancel()
                try:
                    stream = await connecting
                except asyncio.CancelledError:
                    pass
                else:
                    stream.abort()
                    await stream.wait_closed()
                await turns(5)
                with contextlib.suppress(BlockingIOError):
                    server.accept()[0].close()
                counts.add(len(os.listdir("/proc/self/fd")))  # noqa: PTH208  # a count
        return counts

    assert len(run(main)) == 1


def test_numbers_are_not_looked_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread is needed for an address."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(socket, "getaddrinfo", refuse)

    async def main() -> list[list[Address]]:
        return [await resolve(LOCAL, 80), await resolve("::1", 80)]

    assert run(main) == [
        [(socket.AF_INET, (LOCAL, 80))],
        [(socket.AF_INET6, ("::1", 80))],
    ]


def test_a_bad_name_is_an_error_of_its_own(run: Run) -> None:
    """Unknown, or no name at all."""

    async def main() -> None:
        for name in ("no-such-host.invalid", "a" * 300, "a..b"):
            with pytest.raises(ConnectError, match=r"cannot reach"):
                await resolve(name, 80)

    run(main)


def test_a_socket_that_meets_itself_is_refused(run: Run) -> None:
    """The kernel may choose the very port that it is to connect to."""

    async def main() -> None:
        # Bound to the port that it connects to, as the kernel does once in a while.
        with socket.socket() as probe:
            probe.bind((LOCAL, 0))
            port = probe.getsockname()[1]
        with pytest.raises(ConnectError, match=r"nobody listens|refused|in use"):
            await TcpStream.connect(LOCAL, port, local_address=(LOCAL, port))

    run(main)


def test_addresses_are_shown_as_people_write_them() -> None:
    """TCP, IPv6, Unix."""
    assert show_address((LOCAL, 80)) == "127.0.0.1:80"
    assert show_address(("::1", 80, 0, 0)) == "[::1]:80"
    assert show_address("/run/x") == "/run/x"
    assert show_address("") == "unnamed"
    assert show_address(b"\0name") == "@name"


def test_lookups_have_threads_of_their_own(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named, so that a dump tells what they do."""
    names: list[str] = []

    def look(*_: object, **__: object) -> list[object]:
        names.append(threading.current_thread().name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (LOCAL, 80))]

    monkeypatch.setattr(socket, "getaddrinfo", look)

    async def main() -> list[Address]:
        return await resolve("name", 80)

    assert run(main) == [(socket.AF_INET, (LOCAL, 80))]
    assert names[0].startswith("sumida-resolver")
