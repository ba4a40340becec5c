"""ThreadRwLock between threads: who may be inside together, and who is refused."""

import threading

import pytest

from sumida.errors import Elapsed, MisuseError, WouldBlock
from sumida.sync.threads import (
    ThreadMutex,
    ThreadRwLock,
    ThreadWriteGuard,
)
from tests.sync.threads.support import PATIENCE, Waiting, together, until


def test_readers_are_inside_together() -> None:
    """All readers meet at a barrier inside the lock."""
    lock = ThreadRwLock(7)
    inside = threading.Barrier(8)

    def read() -> int:
        with lock.read() as value:
            inside.wait(PATIENCE)
            return value

    assert together(*[read] * 8) == [7] * 8


def test_values_are_replaced_by_writers() -> None:
    """Guard, replace and update; what they put is what readers find."""
    lock = ThreadRwLock(1)
    guard = lock.write()
    with guard as value:
        guard.value = value + 1
        assert guard.value == 2
    assert lock.replace(5) == 2
    assert lock.update(lambda value: value + 1) == 6

    with lock.read() as value:
        assert value == 6


def test_update_that_raises_replaces_nothing() -> None:
    """The error comes out; the lock is free and as it was."""
    lock = ThreadRwLock(1)
    with pytest.raises(ZeroDivisionError):
        lock.update(lambda value: value // 0)

    assert repr(lock) == "<ThreadRwLock 1>"


@pytest.mark.parametrize("kind", ["read", "write", "upgradable_read"])
def test_exception_in_a_block_releases(kind: str) -> None:
    """There is no poisoning."""
    lock = ThreadRwLock(1)
    with pytest.raises(KeyError), getattr(lock, kind)():
        raise KeyError

    assert not lock.is_locked


def test_which_shares_go_together() -> None:
    """The table of what can be taken while another holds what."""
    takes = (
        ThreadRwLock.try_read,
        ThreadRwLock.try_upgradable_read,
        ThreadRwLock.try_write,
    )
    table = []
    for first in takes:
        for second in takes:
            lock = ThreadRwLock(1)
            with first(lock):
                try:
                    second(lock).release()
                except WouldBlock:
                    table.append(False)
                else:
                    table.append(True)
            assert not lock.is_locked

    assert table == [
        *(True, True, False),
        *(True, False, False),
        *(False, False, False),
    ]


def test_writer_is_alone() -> None:
    """No writer ever meets a reader or another writer, under many threads."""
    lock = ThreadRwLock(0)
    inside = ThreadMutex({"readers": 0, "writers": 0})

    def enter(kind: str) -> None:
        with inside.lock() as counts:
            counts[kind] += 1
            assert counts["writers"] <= 1
            assert not (counts["writers"] and counts["readers"])

    def leave(kind: str) -> None:
        with inside.lock() as counts:
            counts[kind] -= 1

    def write_in(guard: ThreadWriteGuard[int]) -> None:
        with guard as value:
            enter("writers")
            guard.value = sum((value, 1))
            leave("writers")

    def write() -> None:
        for _ in range(100):
            write_in(lock.write())

    def read() -> None:
        for _ in range(100):
            with lock.read():
                enter("readers")
                leave("readers")

    def upgrade() -> None:
        for _ in range(100):
            write_in(lock.upgradable_read().upgrade())

    together(write, read, upgrade, read, write, read, upgrade, read)

    assert lock.replace(0) == 400
    assert not lock.waiter_count


@pytest.mark.parametrize("want", ["read", "write", "upgradable_read"])
def test_late_wait_leaves_no_trace(want: str) -> None:
    """Behind a writer every wait can be late; afterwards all is as before."""
    lock = ThreadRwLock(1)

    def late() -> float:
        with pytest.raises(Elapsed) as caught:
            getattr(lock, want)(timeout=0.001)
        return caught.value.after

    with lock.write():
        assert together(late) == [0.001]
        assert repr(lock) == "<ThreadRwLock written>"

    lock.try_write().release()
    assert repr(lock) == "<ThreadRwLock 1>"


def test_late_and_served_waits_mix_without_loss() -> None:
    """Whatever the race between a grant and a time limit, no share is lost."""
    lock = ThreadRwLock(0)
    done = ThreadMutex(0)

    def work() -> None:
        for turn in range(150):
            try:
                if turn % 3 == 0:
                    lock.read(timeout=1e-5).release()
                    continue
                guard = lock.write(timeout=1e-5 if turn % 3 == 1 else None)
            except Elapsed:
                continue
            with guard as value:
                guard.value = sum((value, 1))
            done.update(lambda count: count + 1)

    together(*[work] * 6)

    assert lock.replace(0) == done.replace(0)
    assert not lock.is_locked
    assert not lock.waiter_count


@pytest.mark.parametrize("timeout", [None, PATIENCE])
def test_second_read_behind_a_waiting_writer_is_refused(timeout: float | None) -> None:
    """It would wait for the writer, which waits for the first read."""
    lock = ThreadRwLock(1)
    line = Waiting(lock)
    with lock.read():
        lock.read().release()
        line.start("a", lock.write)
        with pytest.raises(MisuseError, match="wait for ever for reading"):
            lock.read(timeout)
        assert lock.waiter_count == 1
    line.has_entered("a")

    line.end()


@pytest.mark.parametrize("have", ["read", "write", "upgradable_read"])
def test_thread_that_writes_what_it_holds_is_refused(have: str) -> None:
    """A wait for oneself is an error at once."""
    lock = ThreadRwLock(1)
    with getattr(lock, have)():
        with pytest.raises(MisuseError, match="wait for ever for writing"):
            lock.write()
        assert lock.waiter_count == 0

    assert not lock.is_locked


def test_released_thread_may_wait_again() -> None:
    """What a thread once held is forgotten, also after a change of kind."""
    lock = ThreadRwLock(1)
    lock.write().downgrade().release()
    lock.upgradable_read().upgrade().release()

    def other() -> None:
        with lock.write():
            held.set()
            until(lambda: lock.waiter_count == 1)

    held = threading.Event()
    thread = threading.Thread(target=other)
    thread.start()
    held.wait(PATIENCE)
    with lock.read(PATIENCE) as value:
        assert value == 1
    thread.join(PATIENCE)


@pytest.mark.parametrize("timeout", [-1, float("nan")])
@pytest.mark.parametrize("kind", ["read", "write", "upgradable_read"])
def test_timeout_that_is_none_is_refused(kind: str, timeout: float) -> None:
    """A negative time is a ValueError, and takes nothing."""
    lock = ThreadRwLock(1)
    with pytest.raises(ValueError, match="at least 0 seconds, not"):
        getattr(lock, kind)(timeout)
    with lock.upgradable_read():
        pass

    assert not lock.is_locked


def test_repr_of_a_lock_in_itself_ends() -> None:
    """A value that holds its own lock is shown once."""
    items: list[object] = []
    lock = ThreadRwLock(items)
    items.append(lock)

    assert repr(lock) == "<ThreadRwLock [<ThreadRwLock ...>]>"
    assert not lock.is_locked
