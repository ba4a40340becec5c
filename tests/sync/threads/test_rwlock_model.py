"""ThreadRwLock against a model: random takes, changes and releases by one thread."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from sumida.errors import WouldBlock
from sumida.sync.threads import (
    ThreadReadGuard,
    ThreadRwLock,
    ThreadUpgradableGuard,
    ThreadWriteGuard,
)


class RwLockMachine(RuleBasedStateMachine):
    """The lock, and three lists of the guards that ought to hold it."""

    @initialize()
    def start(self) -> None:
        """Begin with a free lock that guards zero."""
        self.lock = ThreadRwLock(0)
        self.value = 0
        self.readers: list[ThreadReadGuard[int]] = []
        self.upgradable: list[ThreadUpgradableGuard[int]] = []
        self.writer: list[ThreadWriteGuard[int]] = []

    @rule()
    def try_read(self) -> None:
        """A reader comes in unless there is a writer."""
        try:
            self.readers.append(self.lock.try_read())
        except WouldBlock:
            assert self.writer
        else:
            assert not self.writer

    @rule()
    def try_upgradable(self) -> None:
        """One comes in beside readers only."""
        try:
            self.upgradable.append(self.lock.try_upgradable_read())
        except WouldBlock:
            assert self.writer or self.upgradable
        else:
            assert not self.writer

    @rule()
    def try_write(self) -> None:
        """A writer comes in where nobody is."""
        try:
            self.writer.append(self.lock.try_write())
        except WouldBlock:
            assert self.writer or self.upgradable or self.readers
        else:
            assert not self.upgradable
            assert not self.readers

    @precondition(lambda self: self.readers)
    @rule(data=st.data())
    def release_reader(self, data: st.DataObject) -> None:
        """Any reader may leave first."""
        index = data.draw(st.integers(0, len(self.readers) - 1))
        guard = self.readers.pop(index)
        with guard as value:
            assert value == self.value

    @precondition(lambda self: self.upgradable)
    @rule()
    def release_upgradable(self) -> None:
        """It leaves; a second release does nothing."""
        guard = self.upgradable.pop()
        guard.release()
        guard.release()

    @precondition(lambda self: self.writer)
    @rule(value=st.integers())
    def write_and_release(self, value: int) -> None:
        """What is written is what all find later."""
        guard = self.writer.pop()
        with guard:
            guard.value = self.value = value

    @precondition(lambda self: self.upgradable)
    @rule()
    def try_upgrade(self) -> None:
        """It succeeds where there is no other reader."""
        try:
            self.writer.append(self.upgradable[0].try_upgrade())
        except WouldBlock:
            assert self.readers
        else:
            assert not self.readers
            assert self.upgradable.pop().is_released

    @precondition(lambda self: self.writer)
    @rule(keep=st.booleans())
    def downgrade_writer(self, *, keep: bool) -> None:
        """The writer reads on, plainly or so that it can write again."""
        guard = self.writer.pop()
        if keep:
            self.upgradable.append(guard.downgrade_to_upgradable())
        else:
            self.readers.append(guard.downgrade())
        assert guard.is_released

    @precondition(lambda self: self.upgradable)
    @rule()
    def downgrade_upgradable(self) -> None:
        """It becomes one reader of many."""
        self.readers.append(self.upgradable.pop().downgrade())

    @invariant()
    def agrees(self) -> None:
        """The lock's own account is that of the model."""
        readers = len(self.readers) + len(self.upgradable)
        assert self.lock.reader_count == readers
        assert self.lock.is_write_locked == bool(self.writer)
        assert self.lock.is_locked == bool(self.writer or readers)
        assert self.lock.waiter_count == 0
        assert len(self.writer) + len(self.upgradable) <= 1
        assert not (self.writer and readers)
        for guard in (*self.readers, *self.upgradable, *self.writer):
            assert guard.value == self.value
            assert not guard.is_released

    def teardown(self) -> None:
        """Everything given back leaves a free lock."""
        for guard in (*self.readers, *self.upgradable, *self.writer):
            guard.release()
        assert repr(self.lock) == f"<ThreadRwLock {self.value}>"


RwLockMachine.TestCase.settings = settings(
    max_examples=200, stateful_step_count=50, deadline=None
)
TestRwLock = RwLockMachine.TestCase
