"""The data: keys, their values, and when they expire. Pure: no I/O, no clock, no task.

A key that has expired is gone for whoever asks (*passive*), and is deleted some time
later also when nobody does (*active*): `delete_expired`, which the server calls ten
times a second. The clock is passed in, so the tests need not wait.
"""

from collections import deque
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from typing import Final, TypeAlias, final

from .patterns import compile_pattern
from .replies import WRONG_TYPE, ReplyError

__all__ = ("Store", "Value")

Value: TypeAlias = bytes | deque[bytes] | dict[bytes, bytes]
"""A string, a list or a hash."""

_BUCKETS: Final = 4096
"""Parts of the index that SCAN walks; one call takes whole parts."""

_SLACK: Final = 1000
"""Outdated entries that the heap may have, beside as many as there are true ones."""


@final
class Store:
    """One database.

    Args:
        clock: Gives the time in seconds; it never goes back.

    Attributes:
        pushed: Keys of lists that got items since somebody looked: who waits for
            them (BLPOP) is served when the command has ended.
        expired: How many keys have expired.
    """

    __slots__ = (
        "_buckets",
        "_clock",
        "_deadlines",
        "_heap",
        "_values",
        "expired",
        "pushed",
    )

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.pushed: list[bytes] = []
        self.expired = 0
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._values: dict[bytes, Value] = {}
        # When a key expires; the heap finds the next one. A deadline that was changed
        # stays in the heap, and is passed over when its time comes.
        self._deadlines: dict[bytes, float] = {}
        self._heap: list[tuple[float, bytes]] = []
        self._buckets: dict[int, set[bytes]] = {}

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<Store {len(self)} keys, {len(self._deadlines)} expire>"

    @property
    def expiring(self) -> int:
        """How many keys have a deadline."""
        return len(self._deadlines)

    # Reading.

    def find(self, key: bytes) -> Value | None:
        """Give a value of any kind.

        Args:
            key: Its key.

        Returns:
            The value itself, to be changed in place; None if there is none.
        """
        deadlines = self._deadlines
        if deadlines and key in deadlines and deadlines[key] <= self._clock():
            self.delete(key)
            self.expired += 1
        return self._values.get(key)

    def find_string(self, key: bytes) -> bytes | None:
        """As `find`, where only a string will do.

        Args:
            key: Its key.

        Returns:
            The string, or None.

        Raises:
            ReplyError: It is something else.
        """
        value = self.find(key)
        if value is None or isinstance(value, bytes):
            return value
        raise ReplyError(WRONG_TYPE)

    def find_list(self, key: bytes) -> deque[bytes] | None:
        """As `find_string`, for a list.

        Args:
            key: Its key.

        Returns:
            The list, or None.

        Raises:
            ReplyError: It is something else.
        """
        value = self.find(key)
        if value is None or isinstance(value, deque):
            return value
        raise ReplyError(WRONG_TYPE)

    def find_hash(self, key: bytes) -> dict[bytes, bytes] | None:
        """As `find_string`, for a hash.

        Args:
            key: Its key.

        Returns:
            The hash, or None.

        Raises:
            ReplyError: It is something else.
        """
        value = self.find(key)
        if value is None or isinstance(value, dict):
            return value
        raise ReplyError(WRONG_TYPE)

    # Writing.

    def put(self, key: bytes, value: Value) -> None:
        """Set a value; a deadline that the key has stays.

        Args:
            key: Its key.
            value: The value.
        """
        values = self._values
        if key not in values:
            self._buckets.setdefault(hash(key) % _BUCKETS, set()).add(key)
        values[key] = value

    def put_fresh(self, key: bytes, value: Value) -> None:
        """Set a value that does not expire.

        Args:
            key: Its key.
            value: The value.
        """
        self._deadlines.pop(key, None)
        self.put(key, value)

    def delete(self, key: bytes) -> bool:
        """Delete a key.

        Args:
            key: Which.

        Returns:
            Whether there was one.
        """
        if self._values.pop(key, None) is None:
            return False
        self._deadlines.pop(key, None)
        number = hash(key) % _BUCKETS
        bucket = self._buckets[number]
        bucket.discard(key)
        if not bucket:
            del self._buckets[number]
        return True

    def push(self, key: bytes, items: tuple[bytes, ...], *, left: bool) -> int:
        """Put items into a list, which begins to exist if it must.

        Args:
            key: The list's.
            items: One or more; the last one is the outermost.
            left: Whether at the front.

        Returns:
            How many are in it now.

        Raises:
            ReplyError: The key has another kind of value.
        """
        values = self.find_list(key)
        if values is None:
            values = deque()
            self.put(key, values)
        if left:
            values.extendleft(items)
        else:
            values.extend(items)
        self.pushed.append(key)
        return len(values)

    def pop_left(self, key: bytes, count: int) -> list[bytes]:
        """Take items from the front of a list, which ends with its last one.

        Args:
            key: The list's.
            count: How many at most.

        Returns:
            The items; none if there is no list.

        Raises:
            ReplyError: The key has another kind of value.
        """
        values = self.find_list(key)
        if values is None:
            return []
        items = [values.popleft() for _ in range(min(count, len(values)))]
        if not values:
            self.delete(key)
        return items

    # Expiry.

    def expire_in(self, key: bytes, seconds: float) -> bool:
        """Let a key expire; at once if the time is not positive.

        Args:
            key: Which.
            seconds: When, from now.

        Returns:
            Whether there is such a key.
        """
        if self.find(key) is None:
            return False
        if seconds <= 0:
            return self.delete(key)
        deadline = self._clock() + seconds
        self._deadlines[key] = deadline
        if len(self._heap) > 2 * len(self._deadlines) + _SLACK:
            self._heap = [(at, key) for key, at in self._deadlines.items()]
            heapify(self._heap)
        else:
            heappush(self._heap, (deadline, key))
        return True

    def persist(self, key: bytes) -> bool:
        """Let a key not expire.

        Args:
            key: Which.

        Returns:
            Whether it would have.
        """
        return self.find(key) is not None and self._deadlines.pop(key, None) is not None

    def remaining(self, key: bytes) -> float | None:
        """Tell how long a key has.

        Args:
            key: One that exists.

        Returns:
            Seconds; None for ever.
        """
        deadline = self._deadlines.get(key)
        return None if deadline is None else deadline - self._clock()

    def delete_expired(self, limit: int) -> bool:
        """Delete what has expired, also what nobody asks for.

        Args:
            limit: How many entries to look at, at most: others want to run, too.

        Returns:
            Whether there may be more.
        """
        now = self._clock()
        for _ in range(limit):
            if not self._heap or self._heap[0][0] > now:
                return False
            deadline, key = heappop(self._heap)
            if self._deadlines.get(key) == deadline:
                self.delete(key)
                self.expired += 1
        return True

    # Walking.

    def keys(self, pattern: bytes) -> list[bytes]:
        """Find the keys that match; it takes as long as there are keys.

        Args:
            pattern: See `patterns`.

        Returns:
            The keys.
        """
        matches = compile_pattern(pattern).fullmatch
        return [key for key in self._alive(self._values) if matches(key)]

    def scan(self, cursor: int, pattern: bytes, count: int) -> tuple[int, list[bytes]]:
        """Walk the keys a few at a time, while others change them.

        A key that is there from the first call to the last is given exactly once,
        because it stays in its bucket, and a call takes whole buckets.

        Args:
            cursor: 0 to begin, then what the last call gave.
            pattern: See `patterns`.
            count: After how many keys to stop, whether they match or not.

        Returns:
            Where to go on, 0 at the end; and the keys that match.
        """
        seen = 0
        found: list[bytes] = []
        matches = compile_pattern(pattern).fullmatch
        while cursor < _BUCKETS and seen < count:
            bucket = self._buckets.get(cursor)
            if bucket:
                seen += len(bucket)
                found += [key for key in self._alive(bucket) if matches(key)]
            cursor += 1
        return (cursor if cursor < _BUCKETS else 0), found

    def _alive(self, keys: "dict[bytes, Value] | set[bytes]") -> Iterator[bytes]:
        now = self._clock()
        deadlines = self._deadlines
        for key in keys:
            if deadlines.get(key, now + 1) > now:
                yield key
