"""Counters and locks of real threads against `threading.Lock`.

    python bench/bench_threads.py

The first three tables are one thread that finds the lock free: what each call costs.
The last is eight readers. Where they only look something up the interpreter lets
one run at a time, and the cheaper lock wins; where they wait inside, as for a file, a
reader-writer lock lets them wait together.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from harness import Row, show

from sumida.sync.threads import AtomicFlag, AtomicInt, ThreadMutex, ThreadRwLock

ROUNDS = 9
TURNS = 20_000
READERS = 8
PAUSE = 0.0005

Work = Callable[[int], None]


class Number:
    """An int and a lock, as one writes it by hand."""

    __slots__ = ("lock", "value")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.value = 0

    def add(self, n: int) -> int:
        """Add under the lock."""
        with self.lock:
            before = self.value
            self.value = before + n
        return before

    def add_bare(self, n: int) -> int:
        """Add without it: fast, and promised by nobody to be right."""
        before = self.value
        self.value = before + n
        return before


def best(ours: Work, theirs: Work, turns: int = TURNS) -> tuple[float, float]:
    """Time two contenders in turn; the best round of each, in ns a turn."""
    times = [float("inf"), float("inf")]
    for _ in range(ROUNDS):
        for index, work in enumerate((ours, theirs)):
            start = time.perf_counter()
            work(turns)
            spent = (time.perf_counter() - start) / turns * 1e9
            times[index] = min(times[index], spent)
    return times[0], times[1]


def row(case: str, peer: str, ours: Work, theirs: Work, turns: int = TURNS) -> Row:
    """Time one case and make a row of it."""
    our_ns, peer_ns = best(ours, theirs, turns)
    return Row(case, our_ns, peer, peer_ns)


def adding(add: Callable[[int], object]) -> Work:
    """Make a loop that counts."""

    def work(turns: int) -> None:
        for _ in range(turns):
            add(1)

    return work


def turning(up: Callable[[], object], down: Callable[[], object]) -> Work:
    """Make a loop that raises a flag and lowers it."""

    def work(turns: int) -> None:
        for _ in range(turns):
            up()
            down()

    return work


def counters() -> list[Row]:
    """AtomicInt and AtomicFlag against what one writes by hand."""
    number, flag = AtomicInt(), AtomicFlag()
    hand, event = Number(), threading.Event()

    def inline_add(turns: int) -> None:
        for _ in range(turns):
            with hand.lock:
                hand.value += 1

    add = adding(number.add)
    bare = "bare +=, in a method (wrong)"
    return [
        row("AtomicInt.add", "Lock, in a method", add, adding(hand.add)),
        row("AtomicInt.add", "Lock, inline", add, inline_add),
        row("AtomicInt.add", bare, add, adding(hand.add_bare)),
        row(
            "AtomicFlag set, clear",
            "threading.Event",
            turning(flag.set, flag.clear),
            turning(event.set, event.clear),
        ),
    ]


def entering(lock: Callable[[], AbstractContextManager[object]]) -> Work:
    """Make a loop that enters and leaves."""

    def work(turns: int) -> None:
        for _ in range(turns):
            with lock():
                pass

    return work


def locks() -> list[Row]:
    """A free lock taken and given back, by one thread."""
    plain = threading.Lock()
    mutex, rwlock = ThreadMutex(0), ThreadRwLock(0)

    def with_plain(turns: int) -> None:
        for _ in range(turns):
            with plain:
                pass

    return [
        row("ThreadMutex", "Lock", entering(mutex.lock), with_plain),
        row("ThreadRwLock read", "Lock", entering(rwlock.read), with_plain),
        row("ThreadRwLock write", "Lock", entering(rwlock.write), with_plain),
    ]


def locks_on_a_loop() -> list[Row]:
    """The same in a task, where each guard is watched."""
    mutex, rwlock = ThreadMutex(0), ThreadRwLock(0)

    works = (entering(mutex.lock), entering(rwlock.read))

    async def main() -> list[float]:
        return [best(work, work)[0] for work in works]

    on_loop = asyncio.run(main())
    off_loop = [best(work, work)[0] for work in works]
    names = ("ThreadMutex in a task", "ThreadRwLock read in a task")
    return [
        Row(name, inside, "outside a loop", outside)
        for name, inside, outside in zip(names, on_loop, off_loop, strict=True)
    ]


def crowd(read: Work, threads: int = READERS) -> Work:
    """Make `threads` threads that share the turns."""

    def work(turns: int) -> None:
        workers = [
            threading.Thread(target=read, args=(turns // threads,))
            for _ in range(threads)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return work


def readers() -> list[Row]:
    """Eight readers that look something up, and eight that wait inside."""
    table = {number: number for number in range(100)}
    plain, rwlock = threading.Lock(), ThreadRwLock(table)

    def look_up_plain(turns: int) -> None:
        for _ in range(turns):
            with plain:
                table.get(7)

    def look_up_ours(turns: int) -> None:
        for _ in range(turns):
            with rwlock.read() as value:
                value.get(7)

    def wait_plain(turns: int) -> None:
        for _ in range(turns):
            with plain:
                time.sleep(PAUSE)

    def wait_ours(turns: int) -> None:
        for _ in range(turns):
            with rwlock.read():
                time.sleep(PAUSE)

    look = (crowd(look_up_ours), crowd(look_up_plain))
    wait = (crowd(wait_ours), crowd(wait_plain))
    return [
        row("8 readers, a look-up each", "Lock", *look),
        row("8 readers, 0.5 ms of waiting each", "Lock", *wait, turns=80),
    ]


def rows() -> list[Row]:
    """Measure everything."""
    return [*counters(), *locks(), *locks_on_a_loop(), *readers()]


if __name__ == "__main__":
    sys.setswitchinterval(0.005)
    show("Threads", rows())
