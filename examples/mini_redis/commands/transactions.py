# ruff: noqa: TID252  # the package is found where it lies, under any name
"""Transactions: MULTI gathers requests, EXEC carries them out as one."""

from ..client import Block, Client
from ..replies import OK, Reply, ReplyError
from .table import Outcome, command, execute

__all__ = ("discard", "exec_", "multi")


@command("MULTI", flags="immediate fast")
def multi(client: Client) -> Reply:
    """Begin a transaction: what follows waits for EXEC."""
    if client.queue is not None:
        raise ReplyError("ERR MULTI calls can not be nested")
    client.queue = []
    client.queued_bytes = 0
    client.is_spoiled = False
    client.is_plain = False
    return OK


@command("EXEC", flags="immediate")
def exec_(client: Client) -> Reply:
    """Carry out a transaction; nobody sees half of it, for no command waits."""
    requests = client.queue
    if requests is None:
        raise ReplyError("ERR EXEC without MULTI")
    client.end_transaction()
    if client.is_spoiled:
        raise ReplyError("EXECABORT Transaction discarded because of previous errors.")
    client.is_executing = True
    try:
        return [_only_reply(execute(client, request)) for request in requests]
    finally:
        client.is_executing = False


def _only_reply(outcome: Outcome) -> Reply:
    assert not isinstance(outcome, Block), "nothing waits within a transaction"
    return outcome


@command("DISCARD", flags="immediate fast")
def discard(client: Client) -> Reply:
    """Forget a transaction."""
    if client.queue is None:
        raise ReplyError("ERR DISCARD without MULTI")
    client.end_transaction()
    return OK
