"""Who may hold a `ThreadRwLock` together, and who comes next: its state machine.

Three kinds of share: any number of readers, with them at most one upgradable reader,
or one writer alone. Those who must wait stand in one line, and a share that comes
free is handed to the first in it, never to a passer-by. A reader waits behind a
writer that waits, else readers who follow each other closely would starve it; it
does not wait behind an upgradable reader, which it cannot hinder.
"""

from collections import deque
from threading import Lock, get_ident
from typing import Final, Generic, TypeVar, final

from sumida.errors import Elapsed
from sumida.sync.threads._held import Hold, refuse_waiting
from sumida.sync.threads._timed import acquire

__all__ = ("READ", "UPGRADABLE", "WRITE", "Cell", "Shares")

T = TypeVar("T")

READ: Final = 0
UPGRADABLE: Final = 1
WRITE: Final = 2
NAMES: Final = ("reading", "an upgradable reading", "writing")


@final
class _Waiter:
    """A thread in the line, asleep until its own plain lock is released.

    Args:
        kind: The share it wants.
    """

    __slots__ = ("granted", "kind", "thread", "wake")

    def __init__(self, kind: int) -> None:
        self.kind = kind
        self.thread = get_ident()
        self.granted = False
        self.wake = Lock()
        self.wake.acquire()


@final
class Shares:
    """The shares given out and the line of those who wait.

    Attributes:
        readers: Plain readers now, without the upgradable one.
        upgradable: Whether there is an upgradable reader.
        writer: Whether there is a writer.
    """

    __slots__ = (
        "_dropped",
        "_gate",
        "_holds",
        "_line",
        "_threads",
        "_upgrader",
        "_writers_waiting",
        "readers",
        "upgradable",
        "writer",
    )

    def __init__(self) -> None:
        self.readers = 0
        self.upgradable = False
        self.writer = False
        # Guards everything here; held for a few instructions, never while waiting.
        self._gate = Lock()
        self._line: deque[_Waiter] = deque()
        self._writers_waiting = 0
        # The upgradable reader that waits for the plain ones to leave. It goes
        # before the line: nobody in it can be served while it holds its share.
        self._upgrader: _Waiter | None = None
        # How many shares each thread holds: to refuse it a wait for itself.
        self._threads: dict[int, int] = {}
        self._holds: list[Hold] = []
        self._dropped: deque[tuple[int, int, Hold | None]] = deque()

    @property
    def waiting(self) -> int:
        """How many threads wait now."""
        return len(self._line) + (self._upgrader is not None)

    @property
    def state(self) -> str:
        """What is held, in words; empty when nothing is."""
        if self.writer:
            held = "written"
        else:
            held = f"{self.readers} reading" if self.readers else ""
            if self.upgradable:
                held += ", 1 upgradable" if held else "1 upgradable"
        waiting = self.waiting
        return f"{held}, {waiting} waiting" if waiting else held

    def try_enter(self, kind: int, thread: int) -> bool:
        """Take a share if that is possible now, before nobody who waits.

        Args:
            kind: The share wanted.
            thread: The calling thread.

        Returns:
            Whether it was taken.
        """
        with self._gate:
            entered = True
            if self.writer:
                entered = False
            elif kind == WRITE:
                if self.readers or self.upgradable:
                    entered = False
                else:
                    self.writer = True
            elif self._writers_waiting or self._upgrader is not None:
                entered = False
            elif kind == READ:
                self.readers += 1
            elif self.upgradable:
                entered = False
            else:
                self.upgradable = True
            if entered:
                # Spelled out, without a call: everybody passes here, and where no
                # call is no signal handler can raise.
                threads = self._threads
                if thread in threads:
                    threads[thread] += 1
                else:
                    threads[thread] = 1
        if self._dropped:
            self._sweep()
        return entered

    def enter(self, kind: int, timeout: float | None) -> None:
        """Take a share, waiting in line for it.

        Args:
            kind: The share wanted.
            timeout: Seconds, at least 0; None for ever.

        Raises:
            Elapsed: It did not come free in time.
            MisuseError: The calling thread, or a task on it, holds a share.
        """
        waiter = _Waiter(kind)
        try:
            with self._gate:
                holds = tuple(self._holds)
                alone = waiter.thread not in self._threads
                if alone:
                    self._line.append(waiter)
                    self._writers_waiting += kind == WRITE
                    # What was in the way may have gone since it was looked at.
                    self._admit()
            if self._dropped:
                self._sweep()
            if not alone:
                refuse_waiting(f"{NAMES[kind]} a ThreadRwLock", holds)
            served = acquire(waiter.wake, timeout)
        except BaseException:
            # Refused; or a signal handler raised, as Ctrl-C does.
            if self._withdraw(waiter):
                self.leave(kind, waiter.thread, None)
            raise
        if timeout is not None and not served and not self._withdraw(waiter):
            raise Elapsed(timeout, f"{NAMES[kind]} a ThreadRwLock")

    def upgrade(self, timeout: float | None) -> None:
        """Make the upgradable share the writer's, waiting for the readers to leave.

        Args:
            timeout: Seconds, at least 0; None for ever.

        Raises:
            Elapsed: They did not leave in time; the share is what it was.
            MisuseError: The calling thread, or a task on it, is one of them.
        """
        if self.try_upgrade():
            return
        waiter = _Waiter(WRITE)
        try:
            with self._gate:
                holds = tuple(self._holds)
                alone = self._threads.get(waiter.thread, 0) <= 1
                if alone:
                    self._upgrader = waiter
                    self._admit()
            if self._dropped:
                self._sweep()
            if not alone:
                refuse_waiting("an upgrade of a ThreadRwLock", holds)
            served = acquire(waiter.wake, timeout)
        except BaseException:
            if self._withdraw(waiter):
                self.downgrade(WRITE, UPGRADABLE)
            raise
        if timeout is not None and not served and not self._withdraw(waiter):
            raise Elapsed(timeout, "an upgrade of a ThreadRwLock")

    def try_upgrade(self) -> bool:
        """Make the upgradable share the writer's if no other reads.

        Returns:
            Whether it was done.
        """
        with self._gate:
            alone = not self.readers
            if alone:
                self.upgradable = False
                self.writer = True
        if self._dropped:
            self._sweep()
        return alone

    def downgrade(self, kind: int, to: int) -> None:
        """Make a share a weaker one, and let in who can come beside it.

        Args:
            kind: The share held.
            to: The share it becomes.
        """
        with self._gate:
            self._leave(kind)
            if to == READ:
                self.readers += 1
            else:
                self.upgradable = True
            self._admit()
        if self._dropped:
            self._sweep()

    def leave(self, kind: int, thread: int, held: Hold | None) -> None:
        """Give a share back.

        Args:
            kind: The share held.
            thread: The thread that took it.
            held: What was noted of it on a loop.
        """
        with self._gate:
            # As in try_enter, nothing is called unless somebody waits.
            if kind == READ:
                self.readers -= 1
            elif kind == WRITE:
                self.writer = False
            else:
                self.upgradable = False
            threads = self._threads
            if threads[thread] == 1:
                del threads[thread]
            else:
                threads[thread] -= 1
            if held is not None:
                self._holds.remove(held)
            if self._line or self._upgrader is not None:
                self._admit()
        if self._dropped:
            self._sweep()

    def drop(self, kind: int, thread: int, held: Hold | None) -> None:
        """Give a share back from a finaliser, which may run anywhere.

        It may have interrupted this very thread inside the gate. Then the share is
        given back by whoever leaves the gate.

        Args:
            kind: The share held.
            thread: The thread that took it.
            held: What was noted of it on a loop.
        """
        self._dropped.append((kind, thread, held))
        self._sweep()

    def note(self, held: Hold) -> Hold:
        """Remember a share that was taken on a loop.

        Args:
            held: What is known of it.

        Returns:
            The same.
        """
        with self._gate:
            self._holds.append(held)
        if self._dropped:
            self._sweep()
        return held

    def _sweep(self) -> None:
        # Who fails to get the gate leaves the rest to its holder, who looks here
        # after leaving it, so none is forgotten.
        while self._dropped and self._gate.acquire(blocking=False):
            try:
                while self._dropped:
                    kind, thread, held = self._dropped.popleft()
                    self._leave(kind)
                    self._uncount(thread, held)
                self._admit()
            finally:
                self._gate.release()

    def _leave(self, kind: int) -> None:
        if kind == READ:
            self.readers -= 1
        elif kind == WRITE:
            self.writer = False
        else:
            self.upgradable = False

    def _uncount(self, thread: int, held: Hold | None) -> None:
        threads = self._threads
        if threads[thread] == 1:
            del threads[thread]
        else:
            threads[thread] -= 1
        if held is not None:
            self._holds.remove(held)

    def _admit(self) -> None:
        """Hand what is free to those who wait, first come, first served."""
        if self.writer:
            return
        upgrader = self._upgrader
        if upgrader is not None:
            if not self.readers:
                self._upgrader = None
                self.upgradable = False
                self.writer = True
                upgrader.granted = True
                upgrader.wake.release()
            return
        line = self._line
        passed: list[_Waiter] = []
        while line and not self.writer:
            waiter = line[0]
            if waiter.kind == WRITE:
                if self.readers or self.upgradable:
                    break
                self.writer = True
                self._writers_waiting -= 1
            elif waiter.kind == READ:
                self.readers += 1
            elif self.upgradable:
                passed.append(line.popleft())
                continue
            else:
                self.upgradable = True
            line.popleft()
            self._threads[waiter.thread] = self._threads.get(waiter.thread, 0) + 1
            waiter.granted = True
            waiter.wake.release()
        line.extendleft(reversed(passed))

    def _withdraw(self, waiter: _Waiter) -> bool:
        """Leave the line; tell whether the share was granted meanwhile."""
        with self._gate:
            granted = waiter.granted
            if not granted:
                if waiter is self._upgrader:
                    self._upgrader = None
                elif waiter in self._line:
                    self._line.remove(waiter)
                    self._writers_waiting -= waiter.kind == WRITE
                # Readers may have stood behind it.
                self._admit()
        if self._dropped:
            self._sweep()
        return granted


@final
class Cell(Generic[T]):
    """The value and its shares, known to the lock and to all its guards."""

    __slots__ = ("shares", "value")

    def __init__(self, value: T) -> None:
        self.value = value
        self.shares = Shares()
