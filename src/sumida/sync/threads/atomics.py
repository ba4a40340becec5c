"""A number and a flag that threads change together: `AtomicInt`, `AtomicFlag`.

For counters, sequence numbers, high-water marks and "is it time to stop". For a
state of more than one number use `ThreadMutex`; to *wait* until a flag is set use
`threading.Event` in a thread and `CancellationToken` on a loop.

Each call takes effect at one moment, in one order for all threads, with the global
interpreter lock and without it. Each call that changes the value gives the value
*before* the change, as Rust's `fetch_add` and `swap` do: two threads that `add(1)`
never get the same number.

A bare `value += 1` is three times as fast and not atomic: that no update is lost
today is an accident of where CPython looks for other threads. So there is a lock
inside, but no Python code ever runs while it is held: no call of this module can
block on another for longer than an addition takes, and all but `fetch_update` may
be made from signal handlers and finalisers too.
"""

import sys
from collections.abc import Callable
from threading import Lock, RLock
from typing import final

__all__ = ("AtomicFlag", "AtomicInt")

# Nothing between the acquire and the release of a lock below may be a call, a loop or
# an object that is freed with code of its own: only there does CPython run signal
# handlers and finalisers or let another thread go on, and one that came back to the
# same lock would wait for itself.
#
# CPython 3.14 runs them once more, between taking the lock of a `with` and its body,
# when nothing has been read yet: let them come in. (python/cpython#148874, mended in
# 3.15; seen in 3.14.8, November 2026. May go with 3.14.)
_make_lock = RLock if sys.version_info[:2] == (3, 14) else Lock


def _integer(name: str, value: object) -> int:
    """Give `value` as a plain int; a subclass, as `IntEnum`, is converted.

    Args:
        name: What it is, for the message.
        value: What the caller passed, not a plain int.

    Returns:
        The plain int.

    Raises:
        TypeError: It is no integer, or a bool.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {value!r}")
    return int(value)


def _boolean(name: str, value: object) -> bool:
    """Give `value` if it is a bool.

    Args:
        name: What it is, for the message.
        value: What the caller passed.

    Returns:
        The same value.

    Raises:
        TypeError: It is not a bool.
    """
    if value is True or value is False:
        return value
    raise TypeError(f"{name} must be a bool, not {value!r}")


@final
class AtomicInt:
    """An integer that any thread may change at any time; it never overflows.

    Args:
        value: What it starts with.

    Raises:
        TypeError: `value` is no int, or a bool; so for every argument below.

    Source:
        `std::sync::atomic::AtomicI64`, without orderings: all is `SeqCst`

    Example:
        >>> requests = AtomicInt()
        >>> requests.add(1)
        0
        >>> requests.load()
        1
    """

    __slots__ = ("_lock", "_value")

    def __init__(self, value: int = 0) -> None:
        self._value = value if type(value) is int else _integer("value", value)
        self._lock = _make_lock()

    def __repr__(self) -> str:
        return f"<AtomicInt {self._value}>"

    def load(self) -> int:
        """Read the value.

        Returns:
            The value now.
        """
        return self._value

    def store(self, value: int) -> None:
        """Replace the value.

        Args:
            value: The new one.
        """
        if type(value) is not int:
            value = _integer("value", value)
        with self._lock:
            self._value = value

    def swap(self, value: int) -> int:
        """Replace the value and give the one before.

        Args:
            value: The new one.

        Returns:
            The value before.
        """
        if type(value) is not int:
            value = _integer("value", value)
        with self._lock:
            before = self._value
            self._value = value
        return before

    def add(self, n: int = 1) -> int:
        """Add `n`; Rust's `fetch_add`.

        Args:
            n: How much; may be negative.

        Returns:
            The value *before* the addition.
        """
        if type(n) is not int:
            n = _integer("n", n)
        with self._lock:
            before = self._value
            self._value = before + n
        return before

    def sub(self, n: int = 1) -> int:
        """Subtract `n`; Rust's `fetch_sub`.

        Args:
            n: How much; may be negative.

        Returns:
            The value *before* the subtraction.
        """
        if type(n) is not int:
            n = _integer("n", n)
        with self._lock:
            before = self._value
            self._value = before - n
        return before

    def fetch_max(self, n: int) -> int:
        """Raise the value to `n` if it is smaller.

        Args:
            n: What it shall be at least.

        Returns:
            The value before.
        """
        if type(n) is not int:
            n = _integer("n", n)
        with self._lock:
            before = self._value
            if before < n:
                self._value = n
        return before

    def fetch_min(self, n: int) -> int:
        """Lower the value to `n` if it is greater.

        Args:
            n: What it shall be at most.

        Returns:
            The value before.
        """
        if type(n) is not int:
            n = _integer("n", n)
        with self._lock:
            before = self._value
            if before > n:
                self._value = n
        return before

    def compare_exchange(self, expected: int, new: int) -> bool:
        """Replace the value by `new`, only if it is `expected`.

        The value seen instead is not given: a pair would make a true `if` of a
        failure, and to go on from another thread's value is `fetch_update`.

        Args:
            expected: What it must be.
            new: What it becomes then.

        Returns:
            Whether it was replaced.
        """
        if type(expected) is not int:
            expected = _integer("expected", expected)
        if type(new) is not int:
            new = _integer("new", new)
        with self._lock:
            if self._value != expected:
                return False
            self._value = new
        return True

    def fetch_update(self, update: Callable[[int], int]) -> int:
        """Replace the value by what `update` makes of it.

        Args:
            update: Called with the value, without any lock, and again with the
                newer one each time another thread was faster: it must have no
                effect of its own. If it raises, nothing has changed.

        Returns:
            The value before.

        Raises:
            TypeError: `update` gave no int, or a bool.
        """
        while True:
            before = self._value
            new = update(before)
            if type(new) is not int:
                new = _integer("the result of update", new)
            with self._lock:
                if self._value == before:
                    self._value = new
                    return before


@final
class AtomicFlag:
    """A flag that any thread may raise and lower; each raiser knows if it was first.

    It has no `wait`: that needs a queue of sleepers, whose cost every `set` would
    pay, and `threading.Event` is exactly that.

    Args:
        value: Whether it starts set.

    Raises:
        TypeError: `value` is not a bool; so for every argument below.

    Source:
        `std::sync::atomic::AtomicBool`

    Example:
        >>> stopping = AtomicFlag()
        >>> if not stopping.set():
        ...     print("the first to stop cleans up")
        the first to stop cleans up
        >>> stopping.is_set
        True
    """

    __slots__ = ("_lock", "_value")

    def __init__(self, value: bool = False) -> None:  # noqa: FBT001, FBT002
        # By position like every other first value: the class says what it means.
        self._value = _boolean("value", value)
        self._lock = _make_lock()

    def __repr__(self) -> str:
        return f"<AtomicFlag {'set' if self._value else 'clear'}>"

    @property
    def is_set(self) -> bool:
        """Whether it is set now."""
        return self._value

    def set(self) -> bool:
        """Raise the flag.

        Returns:
            Whether it was set before: False for exactly one of those who raise it.
        """
        # Nothing to change is a mere read, and needs no lock; so in `clear`.
        if self._value:
            return True
        with self._lock:
            before = self._value
            self._value = True
        return before

    def clear(self) -> bool:
        """Lower the flag.

        Returns:
            Whether it was set before.
        """
        if not self._value:
            return False
        with self._lock:
            before = self._value
            self._value = False
        return before

    def swap(self, value: bool) -> bool:  # noqa: FBT001
        """Make the flag `value`.

        Args:
            value: The new state.

        Returns:
            The state before.
        """
        return self.set() if _boolean("value", value) else self.clear()

    def toggle(self) -> bool:
        """Turn the flag over.

        Returns:
            The state before.
        """
        with self._lock:
            before = self._value
            self._value = not before
        return before

    def compare_exchange(self, expected: bool, new: bool) -> bool:  # noqa: FBT001
        """Make the flag `new`, only if it is `expected`.

        Args:
            expected: What it must be.
            new: What it becomes then.

        Returns:
            Whether it was `expected`.
        """
        _boolean("expected", expected)
        _boolean("new", new)
        with self._lock:
            if self._value is not expected:
                return False
            self._value = new
        return True
