# ruff: noqa: TID252  # the package is found where it lies, under any name
"""Commands on lists."""

from itertools import islice
from math import isfinite
from typing import Final

from ..client import Block, Client
from ..replies import ABSENT, Reply, ReplyError
from .table import Outcome, command, parse_int

__all__ = ("blpop", "lpop", "lpush", "lrange", "rpush")

_NOT_POSITIVE: Final = "ERR value is out of range, must be positive"


@command("LPUSH", flags="write denyoom fast", keys=(1, 1, 1))
def lpush(client: Client, key: bytes, item: bytes, *items: bytes) -> Reply:
    """Put items at the front of a list, one by one; return its length."""
    return client.store.push(key, (item, *items), left=True)


@command("RPUSH", flags="write denyoom fast", keys=(1, 1, 1))
def rpush(client: Client, key: bytes, item: bytes, *items: bytes) -> Reply:
    """Put items at the end of a list; return its length."""
    return client.store.push(key, (item, *items), left=False)


@command("LPOP", flags="write fast", keys=(1, 1, 1))
def lpop(client: Client, key: bytes, count: bytes | None = None) -> Reply:
    """Take an item from the front of a list, or several."""
    if count is None:
        items = client.store.pop_left(key, 1)
        return items[0] if items else None
    number = parse_int(count, _NOT_POSITIVE)
    if number < 0:
        raise ReplyError(_NOT_POSITIVE)
    if client.store.find_list(key) is None:
        return ABSENT
    return client.store.pop_left(key, number)


@command("BLPOP", flags="write blocking", keys=(1, -2, 1))
def blpop(client: Client, key: bytes, *keys_and_timeout: bytes) -> Outcome:
    """Take an item from the first list that has one, waiting while none has."""
    if not keys_and_timeout:
        raise ReplyError("ERR wrong number of arguments for 'blpop' command")
    *more, timeout = keys_and_timeout
    keys = [key, *more]
    seconds = _parse_seconds(timeout)
    for each in keys:
        items = client.store.pop_left(each, 1)
        if items:
            return [each, items[0]]
    # Within a transaction nobody waits: it is one moment.
    return ABSENT if client.is_executing else Block(keys, seconds)


def _parse_seconds(word: bytes) -> float:
    try:
        seconds = float(word)
    except ValueError:
        seconds = float("nan")
    if not isfinite(seconds):
        raise ReplyError("ERR timeout is not a float or out of range")
    if seconds < 0:
        raise ReplyError("ERR timeout is negative")
    return seconds


@command("LRANGE", flags="readonly", keys=(1, 1, 1))
def lrange(client: Client, key: bytes, first: bytes, last: bytes) -> Reply:
    """Return the items from one place to another; negative ones count from the end."""
    start, stop = parse_int(first), parse_int(last)
    items = client.store.find_list(key)
    if items is None:
        return []
    size = len(items)
    start = max(0, start + size if start < 0 else start)
    stop = stop + size if stop < 0 else stop
    # A copy: the list may change while the reply goes out.
    return list(islice(items, start, max(start, stop + 1))) if start < size else []
