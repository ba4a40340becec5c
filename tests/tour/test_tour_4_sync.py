"""The tour, section 4, as it stands: locks and permits."""

from typing import assert_type

from sumida.sync import (
    Barrier,
    Mutex,
    MutexGuard,
    Notify,
    OnceCell,
    RwLock,
    RwLockReadGuard,
    RwLockWriteGuard,
    Semaphore,
)
from sumida.sync.threads import AtomicFlag, AtomicInt, ThreadMutex, ThreadRwLock
from tests.support import Run


async def read(table: RwLock[dict[str, str]]) -> None:
    """Read; apart, for each guard has its own type."""
    async with table.read() as guard:
        assert_type(guard, RwLockReadGuard[dict[str, str]])


async def write(table: RwLock[dict[str, str]]) -> RwLockReadGuard[dict[str, str]]:
    """Write, and read on."""
    async with table.write() as guard:
        assert_type(guard, RwLockWriteGuard[dict[str, str]])
        guard.value["a"] = "b"
        reader = guard.downgrade()
    return reader  # noqa: RET504  # as the tour has it


def test_section_4_runs(run: Run) -> None:
    """Every line of it."""

    async def main() -> list[object]:
        state = Mutex({"hits": 0})
        async with state.lock() as guard:
            guard.value["hits"] += 1

        table = RwLock[dict[str, str]]({})
        await read(table)
        reader = await write(table)
        async with state.lock() as guard:
            assert_type(guard, MutexGuard[dict[str, int]])
            hits = guard.value
        seen: list[object] = [reader.value, hits]
        reader.release()

        slots = Semaphore(10)
        async with slots.acquire(2):
            seen.append(slots.available_permits)
        assert_type(table, RwLock[dict[str, str]])

        requests = AtomicInt()
        requests.add(1)
        with ThreadMutex([]).lock() as items:
            items.append(1)
        with ThreadRwLock(5).read() as number:
            seen += [requests.load(), items, number]
        flag = AtomicFlag()
        flag.set()
        cell = OnceCell[int]()
        seen += [flag.is_set, await cell.get_or_init(one), repr(Notify())]
        result = await Barrier(1).wait()
        return [*seen, result.is_leader]

    async def one() -> int:
        return 1

    assert run(main) == [
        {"a": "b"},
        {"hits": 1},
        8,
        1,
        [1],
        5,
        True,
        1,
        "<Notify 0 waiting>",
        True,
    ]
