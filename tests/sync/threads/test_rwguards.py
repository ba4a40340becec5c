"""The guards of a ThreadRwLock: changed into each other, released, dropped."""

import threading

import pytest

from sumida.errors import Elapsed, MisuseError, ReleasedError, WouldBlock
from sumida.sync.threads import (
    ThreadRwLock,
    ThreadWriteGuard,
)
from tests.sync.threads.support import (
    PATIENCE,
    Interruption,
    Waiting,
    interrupted,
    taken_elsewhere,
    together,
    until,
)


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
            with pytest.raises(Elapsed, match="an upgrade of a ThreadRwLock"):
                guard.upgrade(timeout=0.001)
            assert guard.value == 1
            lock.try_read().release()
            assert lock.waiter_count == 0
        leave.set()

    together(read, upgrade)

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


@pytest.mark.parametrize("granted", [False, True])
def test_interrupted_upgrade_stays_what_it_was(granted: bool) -> None:
    """The guard is an upgradable reader's as before, also if it had become more."""
    lock = ThreadRwLock(1)
    reader = taken_elsewhere(lock.read)
    guard = lock.upgradable_read()
    first = reader.release if granted else lambda: None
    with interrupted(lock, first), pytest.raises(Interruption):
        guard.upgrade()
    reader.release()
    assert repr(lock) == "<ThreadRwLock 1 upgradable>"

    with guard.try_upgrade():
        assert lock.is_write_locked


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
