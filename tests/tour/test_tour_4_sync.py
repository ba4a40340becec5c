"""The tour, section 4, as it stands: locks and permits."""

from typing import assert_type

from sumida.sync import Barrier, Mutex, Notify, OnceCell, RwLock, Semaphore
from sumida.sync.threads import AtomicFlag, AtomicInt, ThreadMutex, ThreadRwLock
from tests.support import Run


def test_section_4_runs(run: Run) -> None:
    """Every line of it."""

    async def main() -> list[object]:
        state = Mutex({"hits": 0})
        async with state.lock() as guard:
            guard.value["hits"] += 1

        table = RwLock[dict[str, str]]({})
        async with table.read() as reading:
            assert_type(reading.value, dict[str, str])
        async with table.write() as writing:
            writing.value["a"] = "b"
            reader = writing.downgrade()
        async with state.lock() as guard:
            hits = guard.value
        seen: list[object] = [reader.value, hits]
        reader.release()

        slots = Semaphore(10)
        async with slots.acquire(2):
            seen.append(slots.available_permits)

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
