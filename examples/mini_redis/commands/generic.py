# ruff: noqa: TID252  # the package is found where it lies, under any name
"""Commands on keys, whatever they hold."""

from collections.abc import Callable
from math import ceil
from typing import Final

from ..client import Client
from ..replies import OK, Reply, ReplyError, Simple
from .table import LONGEST, command, parse_int, text

__all__ = (
    "dbsize",
    "delete",
    "exists",
    "expire",
    "flushall",
    "keys_",
    "persist",
    "pexpire",
    "pttl",
    "scan",
    "ttl",
    "type_",
)

_NO_KEY: Final = -2
_FOR_EVER: Final = -1
"""What TTL answers where there is no time to tell."""

_SCAN_COUNT: Final = 10
"""Keys that SCAN looks at by default; Redis' own number."""

_TYPES: Final = {"bytes": b"string", "deque": b"list", "dict": b"hash"}


@command("DEL", flags="write", keys=(1, -1, 1))
def delete(client: Client, key: bytes, *keys: bytes) -> Reply:
    """Delete keys; return how many there were."""
    store = client.store
    # `find` first: one that has expired does not count.
    return sum(store.find(k) is not None and store.delete(k) for k in (key, *keys))


@command("EXISTS", flags="readonly fast", keys=(1, -1, 1))
def exists(client: Client, key: bytes, *keys: bytes) -> Reply:
    """Count the keys that exist; one that is named twice counts twice."""
    return sum(client.store.find(k) is not None for k in (key, *keys))


@command("TYPE", flags="readonly fast", keys=(1, 1, 1))
def type_(client: Client, key: bytes) -> Reply:
    """Tell what kind of value a key has."""
    value = client.store.find(key)
    return Simple(_TYPES.get(type(value).__name__, b"none"))


@command("EXPIRE", flags="write fast", keys=(1, 1, 1))
def expire(client: Client, key: bytes, seconds: bytes) -> Reply:
    """Let a key expire after so many seconds."""
    return _expire(client, key, parse_int(seconds) * 1000, "expire")


@command("PEXPIRE", flags="write fast", keys=(1, 1, 1))
def pexpire(client: Client, key: bytes, milliseconds: bytes) -> Reply:
    """Let a key expire after so many milliseconds."""
    return _expire(client, key, parse_int(milliseconds), "pexpire")


def _expire(client: Client, key: bytes, milliseconds: int, name: str) -> int:
    if not -LONGEST <= milliseconds <= LONGEST:
        raise ReplyError(f"ERR invalid expire time in '{name}' command")
    return int(client.store.expire_in(key, milliseconds / 1000))


@command("PERSIST", flags="write fast", keys=(1, 1, 1))
def persist(client: Client, key: bytes) -> Reply:
    """Let a key not expire after all."""
    return int(client.store.persist(key))


@command("TTL", flags="readonly fast", keys=(1, 1, 1))
def ttl(client: Client, key: bytes) -> Reply:
    """Tell how many seconds a key has; -1 for ever, -2 if there is no such key."""
    # To the nearest, as Redis rounds.
    return _remaining(client, key, lambda seconds: int(seconds + 0.5))


@command("PTTL", flags="readonly fast", keys=(1, 1, 1))
def pttl(client: Client, key: bytes) -> Reply:
    """Tell how many milliseconds a key has; -1 for ever, -2 if there is no such key."""
    return _remaining(client, key, lambda seconds: ceil(seconds * 1000))


def _remaining(client: Client, key: bytes, rounded: Callable[[float], int]) -> int:
    if client.store.find(key) is None:
        return _NO_KEY
    seconds = client.store.remaining(key)
    return _FOR_EVER if seconds is None else rounded(seconds)


@command("KEYS", flags="readonly")
def keys_(client: Client, pattern: bytes) -> Reply:
    """Return all keys that match a pattern; nobody else is served meanwhile."""
    return client.store.keys(pattern)


@command("SCAN", flags="readonly")
def scan(client: Client, cursor: bytes, *options: bytes) -> Reply:
    """Walk the keys, some at a time; MATCH a pattern, COUNT so many, TYPE of value."""
    if not cursor.isdigit() or len(cursor) > 20:  # noqa: PLR2004  # of 64 bits
        raise ReplyError("ERR invalid cursor")
    if len(options) % 2:
        raise ReplyError("ERR syntax error")
    pattern, count, kind = b"*", _SCAN_COUNT, None
    for word, value in zip(options[::2], options[1::2], strict=True):
        match word.upper():
            case b"MATCH":
                pattern = value
            case b"COUNT":
                count = parse_int(value)
            case b"TYPE":
                kind = value.lower()
            case _:
                raise ReplyError("ERR syntax error")
    if count < 1:
        raise ReplyError("ERR syntax error")
    after, found = client.store.scan(int(cursor), pattern, count)
    if kind is not None:
        found = [key for key in found if type_(client, key) == kind]
    return [b"%d" % after, found]


@command("DBSIZE", flags="readonly fast")
def dbsize(client: Client) -> Reply:
    """Count the keys."""
    return len(client.store)


@command("FLUSHALL", flags="write")
def flushall(client: Client, how: bytes = b"SYNC") -> Reply:
    """Delete all keys."""
    if how.upper() not in (b"SYNC", b"ASYNC"):
        raise ReplyError(f"ERR syntax error near '{text(how)}'")
    client.store.clear()
    return OK


command("FLUSHDB", flags="write")(flushall)
