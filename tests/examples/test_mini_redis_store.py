"""The data of the example: values, expiry, walks; and who waits for items."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.mini_redis import MiniRedis
from examples.mini_redis.replies import ReplyError
from examples.mini_redis.store import Store
from examples.mini_redis.waiting import Item, WaitingLine
from sumida import CancellationToken, JoinSet
from sumida.testing import Outcome, advance, cancel_everywhere, run_paused, turns
from tests.support import Run


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def test_what_has_expired_is_gone_for_all_who_ask() -> None:
    """Also when nobody has deleted it yet."""
    clock = Clock()
    store = Store(clock)
    store.put(b"k", b"v")
    store.expire_in(b"k", 10)
    clock.now += 9.9
    before = store.find(b"k"), store.keys(b"*")
    remaining = store.remaining(b"k")
    clock.now += 0.1

    assert before == (b"v", [b"k"])
    assert remaining == pytest.approx(0.1)
    assert store.keys(b"*") == []
    assert store.scan(0, b"*", 100) == (0, [])
    assert not store.persist(b"k")
    assert not store.expire_in(b"k", 5)
    assert store.expired == 1


def test_a_deadline_can_be_moved_and_taken_away() -> None:
    """The one in the heap is passed over then; a fresh value has none."""
    clock = Clock()
    store = Store(clock)
    for key in (b"moved", b"kept", b"fresh", b"gone"):
        store.put(key, b"v")
        store.expire_in(key, 1)
    store.expire_in(b"moved", 5)
    store.persist(b"kept")
    store.put_fresh(b"fresh", b"w")
    store.expire_in(b"gone", -1)
    clock.now += 2

    assert not store.delete_expired(100)
    assert sorted(store.keys(b"*")) == [b"fresh", b"kept", b"moved"]
    clock.now += 5
    assert not store.delete_expired(100)
    assert sorted(store.keys(b"*")) == [b"fresh", b"kept"]


def test_the_heap_does_not_grow_with_each_change() -> None:
    """A key whose deadline is moved for ever takes no more and no more."""
    clock = Clock()
    store = Store(clock)
    store.put(b"k", b"v")
    for _ in range(10_000):
        store.expire_in(b"k", 10)

    assert len(store._heap) < 2000
    clock.now += 10
    while store.delete_expired(100):
        pass
    assert len(store) == 0


def test_each_kind_of_value_is_told_from_the_others() -> None:
    """The error is Redis'; an empty list is none."""
    store = Store(Clock())
    store.put(b"s", b"v")
    store.put(b"h", {b"a": b"1"})
    store.push(b"l", (b"a", b"b"), left=True)
    for find, good in (
        (store.find_string, b"s"),
        (store.find_list, b"l"),
        (store.find_hash, b"h"),
    ):
        for key in (b"s", b"l", b"h"):
            if key == good:
                assert find(key)
            else:
                with pytest.raises(ReplyError, match="WRONGTYPE"):
                    find(key)

    assert store.pop_left(b"l", 5) == [b"b", b"a"]
    assert store.find(b"l") is None


@given(st.lists(st.tuples(st.sampled_from("padx"), st.integers(0, 40)), max_size=120))
@settings(max_examples=200, deadline=None)
def test_a_scan_finds_what_is_there_all_the_time(
    changes: list[tuple[str, int]],
) -> None:
    """Once each, while other keys come, go and expire between its calls."""
    clock = Clock()
    store = Store(clock)
    stay = {b"stay-%d" % n for n in range(30)}
    for key in stay:
        store.put(key, b"")
    found: list[bytes] = []
    cursor = 0
    for kind, number in [*changes, *[("end", 0)] * 10_000]:
        key = b"other-%d" % number
        match kind:
            case "p" | "a":
                store.put(key, deque([b"x"]))
            case "d":
                store.delete(key)
            case "x":
                store.expire_in(key, 1)
                clock.now += 2
            case _:
                pass
        cursor, some = store.scan(cursor, b"*", 3)
        found += some
        if cursor == 0:
            break

    assert sorted(key for key in found if key in stay) == sorted(stay)


def test_the_server_deletes_what_nobody_asks_for() -> None:
    """Within a tenth of a second, by a paused clock."""

    async def main() -> list[int]:
        server = MiniRedis()
        store = server.shared.store
        stop = CancellationToken()
        async with JoinSet[None]() as tasks:
            tasks.spawn(server.serve("127.0.0.1", 0, stop, lambda _: None))
            for n in range(1000):
                store.put(b"%d" % n, b"v")
                store.expire_in(b"%d" % n, 5)
            store.put(b"other", b"v")
            await advance(4.9)
            before = len(store)
            await advance(0.2)
            stop.cancel()
        return [before, len(store), store.expired]

    assert run_paused(main) == [1001, 1, 1000]


def test_who_came_first_is_served_first(run: Run) -> None:
    """In the line of each key; one push serves as many as there are items."""

    async def main() -> list[Item | None]:
        store = Store(Clock())
        line = WaitingLine(store)
        gone = CancellationToken()
        waits = [
            asyncio.ensure_future(line.wait(keys, 0, gone))
            for keys in ([b"a"], [b"b", b"a"], [b"a", b"b"], [b"b"])
        ]
        await turns()
        assert len(line) == 4
        store.push(b"b", (b"1",), left=False)
        line.serve()
        store.push(b"a", (b"2", b"3", b"4"), left=False)
        line.serve()
        assert store.find(b"a") == deque([b"4"])
        store.push(b"b", (b"5",), left=False)
        line.serve()
        items = [await wait for wait in waits]
        assert repr(line) == "<WaitingLine 0 waiting>"
        return items

    assert run(main) == [(b"a", b"2"), (b"b", b"1"), (b"a", b"3"), (b"b", b"5")]


def test_who_waits_too_long_gets_nothing() -> None:
    """And is in no line any more; 0 is for ever."""

    async def main() -> list[object]:
        line = WaitingLine(Store(Clock()))
        gone = CancellationToken()
        loop = asyncio.get_running_loop()
        item = await line.wait([b"a", b"b"], 5, gone)
        after = loop.time()
        waiting = asyncio.ensure_future(line.wait([b"a"], 0, gone))
        await advance(1_000_000)
        is_waiting = not waiting.done()
        gone.cancel()
        return [item, after, is_waiting, await waiting, len(line)]

    assert run_paused(main) == [None, 5.0, True, None, 0]


def test_an_item_of_one_that_leaves_goes_to_the_next(run: Run) -> None:
    """It was handed over, and the client is cancelled in the same turn."""

    async def main() -> tuple[Item | None, object]:
        store = Store(Clock())
        line = WaitingLine(store)
        first = asyncio.ensure_future(line.wait([b"a"], 0, CancellationToken()))
        await turns()
        second = asyncio.ensure_future(line.wait([b"a"], 0, CancellationToken()))
        await turns()
        store.push(b"a", (b"1",), left=False)
        line.serve()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await second, store.find(b"a")

    assert run(main) == ((b"a", b"1"), None)


@pytest.mark.parametrize("item_first", [True, False])
def test_an_item_and_the_end_at_once_lose_nothing(run: Run, item_first: bool) -> None:
    """The client gets the item, or the list has it again."""

    async def main() -> bool:
        store = Store(Clock())
        line = WaitingLine(store)
        gone = CancellationToken()
        wait = asyncio.ensure_future(line.wait([b"a"], 0, gone))
        await turns()
        store.push(b"a", (b"1",), left=False)
        steps = [line.serve, gone.cancel]
        for step in steps if item_first else reversed(steps):
            step()
        item = await wait
        return (item == (b"a", b"1")) != (store.find(b"a") == deque([b"1"]))

    assert run(main)


class WaitingWorld:
    """A client waits for an item, and is cancelled."""

    def __init__(self) -> None:
        self.store = Store(Clock())
        self.line = WaitingLine(self.store)

    async def subject(self) -> object:
        return await self.line.wait([b"a", b"b"], 0, CancellationToken())

    def wakes(self) -> Sequence[Callable[[], object]]:
        return [self.push]

    def push(self) -> None:
        self.store.push(b"b", (b"x", b"y"), left=False)
        self.line.serve()

    def check(self, outcome: Outcome) -> None:
        items = self.store.find(b"b")
        if outcome.returned:
            assert outcome.value == (b"b", b"x")
            assert items == deque([b"y"])
        else:
            assert items == (deque([b"x", b"y"]) if outcome.is_woken else None)
        assert len(self.line) == 0


def test_waiting_for_an_item_is_cancel_safe(run: Run) -> None:
    """A cancelled wait leaves the item where it was, and nobody in line."""
    assert run(cancel_everywhere, WaitingWorld) == 8
