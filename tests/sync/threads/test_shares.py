"""The line of a ThreadRwLock: who is next, who gives up, what a finaliser may do."""

import asyncio
import contextlib
import threading
from collections.abc import Callable

import pytest

from sumida.errors import Elapsed, MisuseError, WouldBlock
from sumida.sync.threads import (
    ThreadMutex,
    ThreadRwLock,
    ThreadUpgradableGuard,
    _shares,
)
from sumida.sync.threads._shares import READ, UPGRADABLE, WRITE, Shares
from tests.sync.threads.support import (
    PATIENCE,
    Guard,
    Interruption,
    Waiting,
    interrupted,
    taken_elsewhere,
    together,
    until,
)


def test_shares_come_in_the_order_of_asking() -> None:
    """A writer, two readers, a writer: the readers together, each in its turn."""
    lock = ThreadRwLock(1)
    line = Waiting(lock)
    with lock.write():
        line.start("a", lock.write)
        line.start("b", lock.read)
        line.start("c", lock.read)
        line.start("d", lock.write)
        line.start("e", lock.read)
        assert repr(lock) == "<ThreadRwLock written, 5 waiting>"
    line.has_entered("a")
    line.go["a"].set()
    line.has_entered("a", "b", "c")
    line.go["b"].set()
    line.go["c"].set()
    line.has_entered("a", "b", "c", "d")
    line.go["d"].set()
    line.has_entered("a", "b", "c", "d", "e")

    line.end()


@pytest.mark.parametrize("kind", [READ, UPGRADABLE, WRITE])
def test_what_came_free_before_it_stood_in_line_is_taken(kind: int) -> None:
    """Between the look and the line another may have left; nobody else will come."""
    shares = Shares()
    shares.enter(kind, 0)

    assert shares.state
    assert not shares.waiting
    shares.leave(kind, threading.get_ident(), None)
    assert not shares.state


def test_readers_that_left_before_an_upgrade_waited_are_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the look and the wait the last may have left."""
    shares = Shares()
    shares.enter(UPGRADABLE, 0)
    monkeypatch.setattr(Shares, "try_upgrade", lambda _shares: False)
    shares.upgrade(0)

    assert shares.writer
    assert not shares.upgradable


def test_what_is_granted_in_the_last_moment_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the end of the time and the way out of the line."""
    shares = Shares()
    another = threading.get_ident() + 1

    def too_late(_wake: object, _timeout: float | None) -> bool:
        shares.leave(READ, another, None)
        return False

    monkeypatch.setattr(_shares, "acquire", too_late)
    assert shares.try_enter(READ, another)
    shares.enter(WRITE, 1)
    assert shares.writer
    shares.downgrade(WRITE, UPGRADABLE)
    assert shares.try_enter(READ, another)
    shares.upgrade(1)

    assert shares.writer
    assert not shares.readers


def test_writer_waits_for_the_upgradable_reader_too() -> None:
    """The last plain one that leaves lets it in no sooner."""
    lock = ThreadRwLock(1)
    line = Waiting(lock)
    with lock.upgradable_read():
        with lock.read():
            line.start("a", lock.write)
        assert lock.waiter_count == 1
        assert not lock.is_write_locked
    line.has_entered("a")
    line.go["a"].set()

    line.end()


def test_new_reader_waits_behind_a_waiting_writer() -> None:
    """A writer is not starved: once it waits nobody comes in before it."""
    lock = ThreadRwLock(1)
    line = Waiting(lock)
    with lock.read():
        line.start("a", lock.write)
        with pytest.raises(WouldBlock):
            lock.try_read()
        with pytest.raises(WouldBlock):
            lock.try_upgradable_read()
        line.start("b", lock.read)
    line.has_entered("a")

    line.end()
    assert line.entered == ["a", "b"]


def test_writer_is_not_starved_by_readers_without_end() -> None:
    """While it waits no more readers finish than were inside when it asked."""
    lock = ThreadRwLock(0)
    readers = 4
    written = threading.Event()
    after = ThreadMutex(0)

    def read() -> None:
        while not written.is_set():
            with lock.read():
                if lock.waiter_count:
                    after.update(lambda count: count + 1)

    def write() -> None:
        for _ in range(20):
            lock.write(PATIENCE).release()
        written.set()

    together(write, *[read] * readers)

    # A reader may see others still in line while the writer before lets them in, and
    # once more the next writer: then it must stand behind it.
    assert after.replace(0) <= 2 * 20 * readers


def test_reader_passes_a_waiting_upgradable_reader() -> None:
    """It cannot hinder it, so it need not wait for it."""
    lock = ThreadRwLock(1)
    line = Waiting(lock)
    with lock.upgradable_read():
        line.start("a", lock.upgradable_read)
        with lock.try_read():
            assert lock.reader_count == 2
            assert repr(lock) == "<ThreadRwLock 1 reading, 1 upgradable, 1 waiting>"
    line.has_entered("a")

    line.end()


def test_readers_in_line_pass_an_upgradable_reader_that_must_wait() -> None:
    """After a writer two upgradable readers and a reader: one and one come in."""
    lock = ThreadRwLock(1)
    line = Waiting(lock)
    with lock.write():
        line.start("a", lock.upgradable_read)
        line.start("b", lock.upgradable_read)
        line.start("c", lock.read)
        line.start("d", lock.write)
        line.start("e", lock.upgradable_read)
    line.has_entered("a", "c")
    line.go["a"].set()
    line.has_entered("a", "b", "c")
    line.go["b"].set()
    line.go["c"].set()
    line.has_entered("a", "b", "c", "d")
    line.go["d"].set()
    line.has_entered("a", "b", "c", "d", "e")

    line.end()


def test_upgradable_readers_keep_their_order() -> None:
    """Those who are passed over by readers come in as they stood."""
    lock = ThreadRwLock(1)
    line = Waiting(lock)
    with lock.write():
        for name in "abcd":
            line.start(name, lock.upgradable_read)
        line.start("e", lock.read)
    line.has_entered("a", "e")
    for name in "abcd":
        line.go[name].set()
        until(lambda: lock.waiter_count == len("abcde") - len(line.entered))

    line.end()
    assert [name for name in line.entered if name != "e"] == list("abcd")


def test_writer_that_gives_up_lets_the_readers_behind_it_in() -> None:
    """Its place in the line goes with it."""
    lock = ThreadRwLock(1)
    line = Waiting(lock)

    def late() -> None:
        with pytest.raises(Elapsed):
            # Long enough for the reader to get in line behind it.
            lock.write(timeout=0.2)

    with lock.read():
        writer = threading.Thread(target=late)
        writer.start()
        until(lambda: lock.waiter_count == 1)
        line.start("a", lock.read)
        line.has_entered("a")
        writer.join(PATIENCE)

    line.end()


@pytest.mark.parametrize("granted", [False, True])
@pytest.mark.parametrize("want", ["read", "write", "upgradable_read"])
def test_interrupted_wait_leaves_no_trace(want: str, granted: bool) -> None:
    """Ctrl-C in a wait: nothing is held, also if the share had just been granted."""
    lock = ThreadRwLock(1)
    writer = taken_elsewhere(lock.write)
    first = writer.release if granted else lambda: None
    with interrupted(lock, first), pytest.raises(Interruption):
        getattr(lock, want)()
    assert lock.waiter_count == 0
    writer.release()

    assert repr(lock) == "<ThreadRwLock 1>"
    lock.try_write().release()


class DroppingGate:
    """A gate in which, the n-th time it is left, a finaliser drops a guard."""

    __slots__ = ("after", "guards", "real")

    def __init__(self, guard: Guard, after: int) -> None:
        self.real = threading.Lock()
        self.guards = [guard]
        self.after = after

    def acquire(self, *, blocking: bool = True) -> bool:
        """As a lock does."""
        return self.real.acquire(blocking=blocking)

    def release(self) -> None:
        """As a lock does."""
        self.real.release()

    def __enter__(self) -> None:
        self.real.acquire()

    def __exit__(self, *_exc: object) -> None:
        self.after -= 1
        if not self.after:
            with pytest.warns(ResourceWarning, match="dropped"):
                self.guards.clear()
        self.real.release()


@pytest.mark.parametrize(
    ("steps", "operation"),
    [
        (1, lambda lock, _: lock.try_read().release()),
        (1, lambda lock, _: lock.replace(2)),
        (2, lambda lock, _: lock.replace(2)),
        (2, lambda lock, _: lock.read().release()),
        (3, lambda lock, _: lock.write(timeout=0)),
        (1, lambda _, guard: guard.try_upgrade().release()),
        (1, lambda _, guard: guard.upgrade(timeout=0).release()),
        (2, lambda _, guard: guard.upgrade(timeout=0).release()),
        (3, lambda _, guard: guard.upgrade(timeout=0)),
        (1, lambda _, guard: guard.downgrade().release()),
        (2, lambda _, guard: guard.downgrade().release()),
    ],
)
def test_guard_dropped_inside_the_gate_is_given_back(
    steps: int,
    operation: Callable[[ThreadRwLock[int], ThreadUpgradableGuard[int]], object],
) -> None:
    """A finaliser that interrupts the lock's own work neither hangs nor is lost."""
    lock = ThreadRwLock(1)
    guard = lock.upgradable_read()
    gate = DroppingGate(taken_elsewhere(lock.read), steps)
    # The one way to be inside at a chosen moment.
    lock._cell.shares._gate = gate  # type: ignore[assignment]  # a fake
    with contextlib.suppress(WouldBlock, Elapsed, MisuseError):
        operation(lock, guard)
    guard.release()

    assert not gate.guards
    assert not lock.is_locked
    assert not lock.waiter_count
    lock.try_write().release()


def test_guard_dropped_while_another_is_noted_on_a_loop_is_given_back() -> None:
    """The gate is entered once more for a guard that is taken in a task."""
    lock = ThreadRwLock(1)
    gate = DroppingGate(taken_elsewhere(lock.read), 2)
    lock._cell.shares._gate = gate  # type: ignore[assignment]  # a fake

    async def main() -> int:
        with lock.read():
            return lock.reader_count

    assert asyncio.run(main()) == 1
    assert not lock.is_locked


def test_dropped_guards_of_each_kind_are_given_back_later() -> None:
    """Whoever leaves the gate next gives back what was dropped in it."""
    for take in (ThreadRwLock.read, ThreadRwLock.write, ThreadRwLock.upgradable_read):
        lock = ThreadRwLock(1)
        guards = [take(lock)]
        with lock._cell.shares._gate, pytest.warns(ResourceWarning):
            guards.clear()
        assert lock.is_locked
        with contextlib.suppress(WouldBlock):
            lock.try_read().release()

        assert not lock.is_locked
