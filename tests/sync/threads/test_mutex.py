"""ThreadMutex between threads: exclusion, time limits, guards."""

import math
import threading

import pytest

from sumida.errors import Elapsed, MisuseError, ReleasedError, WouldBlock
from sumida.sync.threads import ThreadMutex, ThreadMutexGuard
from tests.sync.threads.support import PATIENCE, together, until


class Broken:
    """A value whose repr fails."""

    __slots__ = ()

    def __repr__(self) -> str:
        raise ZeroDivisionError


def test_lock_gives_the_value_itself() -> None:
    """The line of the tour."""
    mutex = ThreadMutex[list[int]]([])
    with mutex.lock() as items:
        items.append(1)
    with mutex.lock() as items:
        items.append(2)

    assert mutex.replace([]) == [1, 2]


def test_guard_replaces_a_value_that_cannot_change() -> None:
    """What is assigned to `guard.value` is what the next one finds."""
    mutex = ThreadMutex(1)
    guard = mutex.lock()
    with guard as value:
        guard.value = value + 1
        assert guard.value == 2

    with mutex.lock() as value:
        assert value == 2


def test_replace_and_update_give_before_and_after() -> None:
    """One returns what was, the other what is now."""
    mutex = ThreadMutex(1)

    assert mutex.replace(5) == 1
    assert mutex.update(lambda value: value + 1) == 6
    assert mutex.replace(0) == 6


def test_update_that_raises_replaces_nothing_and_releases() -> None:
    """The error comes out; the mutex is free and as it was."""
    mutex = ThreadMutex(1)
    with pytest.raises(ZeroDivisionError):
        mutex.update(lambda value: value // 0)

    assert repr(mutex) == "<ThreadMutex 1>"


def test_exception_in_the_block_releases() -> None:
    """There is no poisoning."""
    mutex = ThreadMutex(1)

    def fail() -> None:
        with mutex.lock():
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert not mutex.is_locked


def test_try_lock_of_a_held_mutex_would_block() -> None:
    """It never waits, also on the holder's own thread."""
    mutex = ThreadMutex(1)
    with mutex.try_lock() as value:
        assert value == 1
        assert mutex.is_locked
        with pytest.raises(WouldBlock, match="a ThreadMutex is held"):
            mutex.try_lock()

    assert not mutex.is_locked


def test_late_lock_is_elapsed_and_leaves_no_trace() -> None:
    """A timed wait that is late raises a TimeoutError and holds nothing."""
    mutex = ThreadMutex(1)

    def late() -> float:
        with pytest.raises(TimeoutError) as caught:
            mutex.lock(timeout=0.001)
        assert isinstance(caught.value, Elapsed)
        return caught.value.after

    with mutex.lock():
        (after,) = together(late)
    assert after == 0.001

    mutex.try_lock().release()


@pytest.mark.parametrize("timeout", [0, 0.5, math.inf, None])
def test_free_mutex_is_locked_in_any_time(timeout: float | None) -> None:
    """A limit does not matter where nothing is waited for."""
    with ThreadMutex(1).lock(timeout) as value:
        assert value == 1


@pytest.mark.parametrize("timeout", [math.inf, PATIENCE])
def test_lock_in_time_waits_no_longer_than_needed(timeout: float) -> None:
    """A waiter with a limit, however long, is woken by the release."""
    mutex = ThreadMutex(0)
    held = threading.Event()
    wanted = threading.Event()

    def hold() -> None:
        with mutex.lock():
            held.set()
            wanted.wait(PATIENCE)

    def wait() -> int:
        held.wait(PATIENCE)
        wanted.set()
        with mutex.lock(timeout) as value:
            return value

    assert together(hold, wait) == [None, 0]


@pytest.mark.parametrize("timeout", [-1, -0.001, -math.inf, math.nan])
def test_timeout_that_is_none_is_refused(timeout: float) -> None:
    """A negative time is a ValueError even where nothing is waited for."""
    mutex = ThreadMutex(1)
    with pytest.raises(ValueError, match="at least 0 seconds, not"):
        mutex.lock(timeout)

    assert not mutex.is_locked


def test_thread_that_locks_twice_is_refused() -> None:
    """A wait for oneself would never end: it is an error at once, timed or not."""
    mutex = ThreadMutex(1)
    with mutex.lock():
        for timeout in (None, PATIENCE):
            with pytest.raises(MisuseError, match="wait for ever for a ThreadMutex"):
                mutex.lock(timeout)
        assert mutex.is_locked

    assert not mutex.is_locked


def test_release_twice_does_no_harm() -> None:
    """The second release does not free another's lock."""
    mutex = ThreadMutex(1)
    first = mutex.lock()
    first.release()
    second = mutex.lock()
    first.release()
    with pytest.raises(WouldBlock):
        mutex.try_lock()
    second.release()

    assert not mutex.is_locked
    assert first.is_released


def test_block_may_release_early() -> None:
    """Leaving the block after a release frees nobody else's lock."""
    mutex = ThreadMutex(1)
    guard = mutex.lock()
    with guard:
        guard.release()
        other = mutex.lock()
    assert mutex.is_locked
    other.release()

    assert not mutex.is_locked


def test_released_guard_gives_no_value() -> None:
    """Reading, writing and entering are refused after the release."""
    guard = ThreadMutex(1).lock()
    guard.release()

    with pytest.raises(ReleasedError, match="after its release"):
        _ = guard.value
    with pytest.raises(ReleasedError):
        guard.value = 2
    with pytest.raises(ReleasedError), guard:
        pass


def test_dropped_guard_gives_the_lock_back() -> None:
    """A guard that nobody keeps is released with a warning."""
    mutex = ThreadMutex(1)
    with pytest.warns(ResourceWarning, match="dropped without being released"):
        mutex.lock()

    assert not mutex.is_locked


def test_guard_may_be_released_by_another_thread() -> None:
    """It is passed on, and its first thread may lock again."""
    mutex = ThreadMutex(1)
    guard = mutex.lock()
    together(guard.release)

    with mutex.lock(timeout=PATIENCE) as value:
        assert value == 1


def test_repr_tells_the_state() -> None:
    """Locked, or the value; a guard shows the value or that it was released."""
    mutex = ThreadMutex([1])
    guard: ThreadMutexGuard[list[int]]
    with (guard := mutex.lock()):
        assert repr(mutex) == "<ThreadMutex locked>"
        assert repr(guard) == "<ThreadMutexGuard [1]>"

    assert repr(mutex) == "<ThreadMutex [1]>"
    assert repr(guard) == "<ThreadMutexGuard released>"


def test_repr_of_a_mutex_in_itself_ends() -> None:
    """The inner one shows that it is locked."""
    items: list[object] = []
    mutex = ThreadMutex(items)
    items.append(mutex)

    assert repr(mutex) == "<ThreadMutex [<ThreadMutex locked>]>"


def test_repr_of_a_broken_value_releases() -> None:
    """A repr that raises does not leave the mutex locked."""
    mutex = ThreadMutex(Broken())
    with pytest.raises(ZeroDivisionError):
        repr(mutex)

    assert not mutex.is_locked


def test_no_update_is_lost() -> None:
    """Read, let others run, write: all under the lock, by many threads."""
    mutex = ThreadMutex(0)

    def work() -> None:
        for _ in range(200):
            guard = mutex.lock()
            with guard as value:
                # A call, where the interpreter may change threads.
                guard.value = sum((value, 1))

    together(*[work] * 8)

    assert mutex.replace(0) == 1600


def test_late_waiters_and_holders_mix_without_loss() -> None:
    """Some waits end late; every lock that was given was exclusive."""
    mutex = ThreadMutex({"inside": 0, "done": 0})

    def work() -> int:
        late = 0
        for turn in range(200):
            try:
                guard = mutex.lock(timeout=0 if turn % 2 else None)
            except Elapsed:
                late += 1
                continue
            with guard as state:
                state["inside"] += 1
                assert state["inside"] == 1
                state["done"] += len([turn])
                state["inside"] -= 1
        return late

    late = sum(together(*[work] * 6))

    assert mutex.replace({})["done"] == 1200 - late


def test_waiting_thread_gets_the_lock_of_a_dead_one() -> None:
    """A block that ends by an exception in its thread lets the next in."""
    mutex = ThreadMutex(0)
    held = threading.Event()
    waiting = threading.Event()

    def fail() -> None:
        with mutex.lock():
            held.set()
            until(waiting.is_set)
            raise KeyError

    def wait() -> None:
        held.wait(PATIENCE)
        waiting.set()
        mutex.lock(PATIENCE).release()

    with pytest.raises(ExceptionGroup) as caught:
        together(fail, wait)

    assert [type(error) for error in caught.value.exceptions] == [KeyError]
    assert not mutex.is_locked


def test_value_that_locks_in_its_repr_is_refused() -> None:
    """It would wait for the very thread that shows it."""

    class Selfish:
        def __repr__(self) -> str:
            with mutex.lock(0):
                return "never"

    mutex = ThreadMutex[object](Selfish())
    with pytest.raises(MisuseError):
        repr(mutex)

    assert not mutex.is_locked
