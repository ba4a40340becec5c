"""ThreadRwLock between threads: who may be inside together, and who is next."""

import threading
from collections.abc import Callable

import pytest

from sumida.errors import Elapsed, MisuseError, ReleasedError, WouldBlock
from sumida.sync.threads import (
    ThreadMutex,
    ThreadReadGuard,
    ThreadRwLock,
    ThreadUpgradableGuard,
    ThreadWriteGuard,
)
from tests.sync.threads.support import PATIENCE, together, until

Guard = ThreadReadGuard[int] | ThreadWriteGuard[int] | ThreadUpgradableGuard[int]


class Waiting:
    """Threads that wait for a lock in the order in which they were started."""

    __slots__ = ("entered", "go", "lock", "threads")

    def __init__(self, lock: ThreadRwLock[int]) -> None:
        self.lock = lock
        self.entered: list[str] = []
        self.go = {name: threading.Event() for name in "abcdef"}
        self.threads: list[threading.Thread] = []

    def start(self, name: str, take: Callable[[], Guard]) -> None:
        """Start a thread that waits, enters, and leaves when it is told to."""

        def work() -> None:
            with take():
                self.entered.append(name)
                self.go[name].wait(PATIENCE)

        before = self.lock.waiter_count
        thread = threading.Thread(target=work, daemon=True)
        self.threads.append(thread)
        thread.start()
        until(lambda: self.lock.waiter_count == before + 1)

    def has_entered(self, *names: str) -> None:
        """Wait until these, and no others, have come in."""
        until(lambda: len(self.entered) >= len(names))
        assert sorted(self.entered) == sorted(names)

    def end(self) -> None:
        """Let all go, and see that they do."""
        for event in self.go.values():
            event.set()
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        assert not self.lock.is_locked
        assert not self.lock.waiter_count


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

    assert after.replace(0) <= 20 * readers


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


def test_downgrade_admits_readers_but_no_writer() -> None:
    """The value that was written is the one that is read on, beside new readers."""
    lock = ThreadRwLock(0)
    line = Waiting(lock)
    writer = lock.write()
    line.start("a", lock.read)
    line.start("b", lock.read)
    line.start("c", lock.write)
    line.start("d", lock.read)
    with writer:
        writer.value = 5
        reader = writer.downgrade()
    with reader as value:
        line.has_entered("a", "b")
        assert value == 5
        assert lock.reader_count == 3
        with pytest.raises(WouldBlock):
            lock.try_read()

    line.end()
    assert line.entered[2:] == ["c", "d"]


def test_no_writer_comes_in_between_write_and_read() -> None:
    """What a writer reads after its downgrade is what it wrote, under many threads."""
    lock = ThreadRwLock(0)

    def work(mark: int) -> None:
        for _ in range(100):
            guard = lock.write()
            with guard:
                guard.value = mark
                reader = guard.downgrade()
            with reader as value:
                assert value == mark

    together(*[lambda mark=mark: work(mark) for mark in range(6)])

    assert not lock.is_locked


def test_no_writer_comes_in_between_read_and_upgrade() -> None:
    """What was read before the upgrade is still there after it."""
    lock = ThreadRwLock(0)

    def work() -> None:
        for _ in range(100):
            guard = lock.upgradable_read()
            seen = guard.value
            writer = guard.upgrade()
            with writer as value:
                assert value == seen
                writer.value = sum((value, 1))

    def write() -> None:
        for _ in range(100):
            lock.update(lambda value: sum((value, 1)))

    together(work, write, work, write)

    assert lock.replace(0) == 400


def test_upgrade_waits_for_the_readers_and_lets_no_new_one_in() -> None:
    """It goes before the writers that waited longer."""
    lock = ThreadRwLock(0)
    line = Waiting(lock)
    upgradable = lock.upgradable_read()
    upgraders: list[ThreadWriteGuard[int]] = []
    inside = threading.Event()
    leave = threading.Event()

    def read() -> None:
        with lock.read():
            inside.set()
            leave.wait(PATIENCE)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    inside.wait(PATIENCE)
    line.start("a", lock.write)
    with pytest.raises(WouldBlock, match="by readers"):
        upgradable.try_upgrade()

    def release_when_waiting() -> None:
        until(lambda: lock.waiter_count == 2)
        with pytest.raises(WouldBlock):
            lock.try_read()
        leave.set()

    together(lambda: upgraders.append(upgradable.upgrade()), release_when_waiting)
    assert lock.is_write_locked
    assert not line.entered
    upgraders[0].release()
    reader.join(PATIENCE)

    line.end()


def test_new_reader_waits_behind_an_upgrade() -> None:
    """Without any writer in line too: else readers could keep it waiting for ever."""
    lock = ThreadRwLock(0)
    inside = threading.Event()

    def read() -> None:
        with lock.read():
            inside.set()
            until(lambda: lock.waiter_count == 1)
            for take in (lock.try_read, lock.try_upgradable_read, lock.try_write):
                with pytest.raises(WouldBlock):
                    take()

    def upgrade() -> None:
        inside.wait(PATIENCE)
        guard = lock.upgradable_read()
        with guard.upgrade(PATIENCE):
            assert lock.is_write_locked

    together(read, upgrade)

    assert not lock.is_locked


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


def test_chain_of_guards_gives_up_each_before() -> None:
    """Every change of kind leaves one guard alive."""
    lock = ThreadRwLock(1)
    first = lock.upgradable_read()
    second = first.try_upgrade()
    third = second.downgrade_to_upgradable()
    fourth = third.upgrade()
    fifth = fourth.downgrade()
    fifth.release()
    sixth = lock.upgradable_read()
    seventh = sixth.downgrade()
    assert lock.reader_count == 1
    with lock.try_upgradable_read():
        pass
    seventh.release()

    assert not lock.is_locked
    for change in (
        first.upgrade,
        first.try_upgrade,
        first.downgrade,
        second.downgrade,
        second.downgrade_to_upgradable,
        fifth.__enter__,
        lambda: fourth.value,
        lambda: setattr(fourth, "value", 2),
    ):
        with pytest.raises(ReleasedError, match="after it was given up"):
            change()
    assert [g.is_released for g in (first, second, third, fourth, fifth)] == [True] * 5


def test_release_twice_does_no_harm() -> None:
    """The second one takes nobody else's share."""
    lock = ThreadRwLock(1)
    first = lock.read()
    with lock.read():
        first.release()
        first.release()
        assert lock.reader_count == 1

    assert repr(first) == "<ThreadReadGuard released>"


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


def test_late_upgrade_stays_a_reader_and_lets_others_in() -> None:
    """The guard is as it was before the wait."""
    lock = ThreadRwLock(1)
    inside = threading.Event()
    leave = threading.Event()

    def read() -> None:
        with lock.read():
            inside.set()
            leave.wait(PATIENCE)

    def upgrade() -> None:
        inside.wait(PATIENCE)
        with (guard := lock.upgradable_read()):
            with pytest.raises(Elapsed, match="writing a ThreadRwLock"):
                guard.upgrade(timeout=0.001)
            assert guard.value == 1
            lock.try_read().release()
            assert lock.waiter_count == 0
        leave.set()

    together(read, upgrade)

    assert not lock.is_locked


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


def test_upgrade_of_a_thread_that_also_reads_is_refused() -> None:
    """It would wait for its own other guard; the guard stays what it was."""
    lock = ThreadRwLock(1)
    with lock.read(), lock.upgradable_read():
        pass
    reader = lock.read()
    guard = lock.upgradable_read()
    with pytest.raises(MisuseError, match="an upgrade of a ThreadRwLock"):
        guard.upgrade()
    reader.release()

    with guard.upgrade() as value:
        assert value == 1


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


@pytest.mark.parametrize("kind", ["read", "write", "upgradable_read"])
def test_dropped_guard_gives_its_share_back(kind: str) -> None:
    """A guard that nobody keeps is released with a warning."""
    lock = ThreadRwLock(1)
    with pytest.warns(ResourceWarning, match="was dropped without being released"):
        getattr(lock, kind)()

    assert repr(lock) == "<ThreadRwLock 1>"


def test_guard_dropped_by_a_busy_thread_wakes_the_next() -> None:
    """What a finaliser gives back is handed on like any other share."""
    lock = ThreadRwLock(1)
    line = Waiting(lock)
    guards = [lock.write()]
    line.start("a", lock.write)
    with pytest.warns(ResourceWarning, match="dropped"):
        guards.clear()
    line.has_entered("a")

    line.end()


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
