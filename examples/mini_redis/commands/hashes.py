# ruff: noqa: TID252  # the package is found where it lies, under any name
"""Commands on hashes."""

from ..client import Client
from ..replies import Reply, ReplyError
from .table import command

__all__ = ("hget", "hgetall", "hset")


@command("HSET", flags="write denyoom fast", keys=(1, 1, 1))
def hset(client: Client, key: bytes, name: bytes, value: bytes, *more: bytes) -> Reply:
    """Set fields of a hash; return how many are new."""
    if len(more) % 2:
        raise ReplyError("ERR wrong number of arguments for 'hset' command")
    fields = client.store.find_hash(key)
    if fields is None:
        fields = {}
        client.store.put(key, fields)
    before = len(fields)
    fields[name] = value
    fields.update(zip(more[::2], more[1::2], strict=True))
    return len(fields) - before


@command("HGET", flags="readonly fast", keys=(1, 1, 1))
def hget(client: Client, key: bytes, name: bytes) -> Reply:
    """Return a field of a hash."""
    return (client.store.find_hash(key) or {}).get(name)


@command("HGETALL", flags="readonly", keys=(1, 1, 1))
def hgetall(client: Client, key: bytes) -> Reply:
    """Return all fields of a hash: a map, to clients of RESP3."""
    # A copy: the hash may change while the reply goes out.
    return dict(client.store.find_hash(key) or {})
