"""The read-write lock: readers share, writers do not, and nobody starves."""

import asyncio
from typing import assert_type

import pytest

from sumida import select
from sumida.errors import MisuseError, ReleasedError, WouldBlock
from sumida.sync import RwLock, RwLockReadGuard, RwLockWriteGuard
from sumida.sync.rwlock import MAX_READERS
from sumida.testing import cancel_everywhere, turns
from tests.core.support import started
from tests.support import Run
from tests.sync.worlds import TwoWaiters


def test_readers_share_and_a_writer_is_alone(run: Run) -> None:
    """By try."""

    async def main() -> None:
        table = RwLock({"a": 1})
        with table.try_read() as one, table.try_read() as two:
            assert one.value is two.value
            with pytest.raises(WouldBlock):
                table.try_write()
        with table.try_write() as writer:
            writer.value = {"b": 2}
            for attempt in (table.try_read, table.try_write):
                with pytest.raises(WouldBlock):
                    attempt()
        async with table.read() as reader:
            assert reader.value == {"b": 2}

    run(main)


def test_first_come_first_served(run: Run) -> None:
    """A reader behind a waiting writer waits; without the writer it goes on."""

    async def main() -> list[object]:
        table = RwLock(0)
        order: list[object] = []

        async def read(name: str) -> None:
            async with table.read():
                order.append(name)

        async def write() -> None:
            async with table.write():
                order.append("writer")

        first = await table.read()
        writer = asyncio.create_task(write())
        await turns()
        late = asyncio.create_task(read("late"))
        await turns()
        order.append("nobody yet")
        first.release()
        await asyncio.wait([writer, late])
        again = await table.read()
        writer = asyncio.create_task(write())
        await turns()
        later = asyncio.create_task(read("later"))
        await turns()
        writer.cancel()
        await asyncio.wait([later])
        again.release()
        return order

    assert run(main) == ["nobody yet", "writer", "late", "later"]


def test_downgrade_lets_readers_in_and_no_writer(run: Run) -> None:
    """The writing guard is released then."""

    async def main() -> list[str]:
        table = RwLock(0)
        order: list[str] = []

        async def read() -> None:
            async with table.read() as guard:
                order.append(f"read {guard.value}")

        async def write() -> None:
            async with table.write():
                order.append("write")

        guard = await table.write()
        tasks = [asyncio.create_task(read())]
        await turns()
        tasks.append(asyncio.create_task(write()))
        await turns()
        guard.value = 1
        reader = guard.downgrade()
        with pytest.raises(ReleasedError):
            guard.downgrade()
        await turns()
        order.append("still reading")
        reader.release()
        await asyncio.wait(tasks)
        return order

    assert run(main) == ["read 1", "still reading", "write"]


def test_misuse_is_refused(run: Run) -> None:
    """The value without the lock, a guard twice, a bad bound."""

    async def main() -> list[str]:
        table = RwLock(0, max_readers=2)
        guard, writer = table.read(), table.write()
        with pytest.raises(ReleasedError):
            _ = guard.value
        with pytest.raises(ReleasedError):
            _ = writer.value
        with pytest.raises(ReleasedError):
            writer.value = 1
        seen = [repr(table)]
        await guard
        seen.append(repr(table))
        with pytest.raises(MisuseError, match="while held"):
            await guard
        with table.try_read(), pytest.raises(WouldBlock):
            table.try_read()
        guard.release()
        return seen

    assert run(main) == ["<RwLock 0>", "<RwLock 1 reading, 0 waiting>"]
    for bad in (0, MAX_READERS + 1):
        with pytest.raises(ValueError, match=f"not {bad}"):
            RwLock(0, max_readers=bad)
    assert repr(RwLock(0, max_readers=MAX_READERS)) == "<RwLock 0>"


def test_who_is_in_a_block_counts(run: Run) -> None:
    """For those who try, and for those who wait."""

    async def main() -> list[str]:
        table = RwLock(0)
        seen = []
        async with table.read():
            seen.append(repr(table))
            with pytest.raises(WouldBlock):
                table.try_write()
            async with table.read():
                seen.append(repr(table))
            with table.try_read():
                waiting = await started(table.write())
                seen.append(repr(table))
        with await waiting:
            seen.append(repr(table))
        async with table.write() as writer:
            seen.append(repr(table))
            with pytest.raises(WouldBlock):
                table.try_read()
            writer.downgrade().release()
        return [*seen, repr(table)]

    assert run(main) == [
        "<RwLock 1 reading, 0 waiting>",
        "<RwLock 2 reading, 0 waiting>",
        "<RwLock taken or promised, 1 waiting>",
        "<RwLock taken or promised, 0 waiting>",
        "<RwLock taken or promised, 0 waiting>",
        "<RwLock 0>",
    ]


def test_types_are_told(run: Run) -> None:
    """By `await`, `async with`, `select` and a downgrade."""

    async def main() -> None:
        table = RwLock("x")
        async with table.read() as reader:
            assert_type(reader, RwLockReadGuard[str])
            assert_type(reader.value, str)
        with await table.write() as writer:
            assert_type(writer, RwLockWriteGuard[str])
            assert_type(writer.downgrade(), RwLockReadGuard[str]).release()
        first = await select(table.write(), table.read())
        if first[0] == 0:
            assert_type(first[1], RwLockWriteGuard[str])
        else:
            assert_type(first[1], RwLockReadGuard[str])
        first[1].release()

    run(main)


@pytest.mark.parametrize("kind", ["read", "write"])
def test_a_cancelled_wait_passes_the_lock_on(run: Run, kind: str) -> None:
    """Wherever it strikes."""

    def world() -> TwoWaiters:
        """Two wait behind a writer, for what only one can have."""
        table = RwLock(None, max_readers=1)
        held: list[RwLockWriteGuard[None]] = [table.try_write()]

        def grant() -> None:
            if held:
                held.pop().release()

        def give_back(guard: object) -> None:
            assert isinstance(guard, (RwLockReadGuard, RwLockWriteGuard))
            guard.release()

        return TwoWaiters(getattr(table, kind), grant, give_back)

    assert run(cancel_everywhere, world) == 8
