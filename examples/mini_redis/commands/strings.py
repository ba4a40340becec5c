# ruff: noqa: TID252  # the package is found where it lies, under any name
"""Commands on strings."""

from collections.abc import Iterator
from typing import Final

from ..client import Client
from ..replies import OK, Reply, ReplyError
from .table import LONGEST, command, parse_int

__all__ = ("decrby", "get", "incr", "incrby", "mget", "mset", "set_")

_SYNTAX: Final = "ERR syntax error"


@command("GET", flags="readonly fast", keys=(1, 1, 1))
def get(client: Client, key: bytes) -> Reply:
    """Return the string value of a key."""
    return client.store.find_string(key)


@command("SET", flags="write denyoom", keys=(1, 1, 1))
def set_(client: Client, key: bytes, value: bytes, *options: bytes) -> Reply:
    """Set the string value of a key, whatever it held; EX, PX, NX, XX, KEEPTTL, GET."""
    store = client.store
    if not options:
        store.put_fresh(key, value)
        return OK
    chosen, seconds = _read_options(options)
    old = store.find(key)
    before = store.find_string(key) if b"GET" in chosen else None
    if (b"NX" in chosen and old is not None) or (b"XX" in chosen and old is None):
        return before
    if b"KEEPTTL" in chosen:
        store.put(key, value)
    else:
        store.put_fresh(key, value)
    if seconds is not None:
        store.expire_in(key, seconds)
    return before if b"GET" in chosen else OK


def _read_options(options: tuple[bytes, ...]) -> tuple[set[bytes], float | None]:
    """Give the options in capitals, and the seconds to live."""
    chosen: set[bytes] = set()
    seconds: float | None = None
    words: Iterator[bytes] = iter(options)
    for word in words:
        option = word.upper()
        chosen.add(option)
        if option in (b"EX", b"PX"):
            amount = next(words, None)
            if amount is None or seconds is not None:
                raise ReplyError(_SYNTAX)
            milliseconds = parse_int(amount) * (1000 if option == b"EX" else 1)
            seconds = milliseconds / 1000
            if not 0 < milliseconds <= LONGEST:
                raise ReplyError("ERR invalid expire time in 'set' command")
        elif option not in (b"NX", b"XX", b"KEEPTTL", b"GET"):
            raise ReplyError(_SYNTAX)
    if {b"NX", b"XX"} <= chosen or (seconds is not None and b"KEEPTTL" in chosen):
        raise ReplyError(_SYNTAX)
    return chosen, seconds


@command("INCR", flags="write denyoom fast", keys=(1, 1, 1))
def incr(client: Client, key: bytes) -> Reply:
    """Add 1 to the integer value of a key; one that is not there counts as 0."""
    return _add(client, key, 1)


@command("DECR", flags="write denyoom fast", keys=(1, 1, 1))
def decr(client: Client, key: bytes) -> Reply:
    """Subtract 1 from the integer value of a key."""
    return _add(client, key, -1)


@command("INCRBY", flags="write denyoom fast", keys=(1, 1, 1))
def incrby(client: Client, key: bytes, amount: bytes) -> Reply:
    """Add to the integer value of a key."""
    return _add(client, key, parse_int(amount))


@command("DECRBY", flags="write denyoom fast", keys=(1, 1, 1))
def decrby(client: Client, key: bytes, amount: bytes) -> Reply:
    """Subtract from the integer value of a key."""
    return _add(client, key, -parse_int(amount))


def _add(client: Client, key: bytes, amount: int) -> int:
    number = parse_int(client.store.find_string(key) or b"0") + amount
    if not -(2**63) <= number < 2**63:
        raise ReplyError("ERR increment or decrement would overflow")
    # Nothing waits between reading and writing, so it is atomic without a lock.
    client.store.put(key, b"%d" % number)
    return number


@command("MGET", flags="readonly fast", keys=(1, -1, 1))
def mget(client: Client, key: bytes, *keys: bytes) -> Reply:
    """Return the string values of several keys; null where there is none."""
    values = map(client.store.find, (key, *keys))
    return [value if isinstance(value, bytes) else None for value in values]


@command("MSET", flags="write denyoom", keys=(1, -1, 2))
def mset(client: Client, key: bytes, value: bytes, *more: bytes) -> Reply:
    """Set several keys at once."""
    if len(more) % 2:
        raise ReplyError("ERR wrong number of arguments for 'mset' command")
    client.store.put_fresh(key, value)
    for other, its_value in zip(more[::2], more[1::2], strict=True):
        client.store.put_fresh(other, its_value)
    return OK
