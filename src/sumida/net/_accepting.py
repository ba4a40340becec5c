"""The accept loop of a server: a place first, then a connection; patience in need."""

import errno
import logging
from collections.abc import Callable
from socket import socket
from typing import Any, Final

from sumida.net._limit import ConnectionLimit
from sumida.net._listen import Listener
from sumida.runtime.timers import sleep
from sumida.runtime.yielding import yield_now
from sumida.sync.semaphore import SemaphorePermit

__all__ = ("accept_all",)

_logger: Final = logging.getLogger("sumida")

_FIRST_BACK_OFF: Final = 0.05
_LAST_BACK_OFF: Final = 1.0
"""Seconds to wait when the system has no descriptor or memory left: from, to."""

_BATCH: Final = 64
"""Connections accepted before the other tasks run once."""

_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


async def accept_all(
    listener: Listener[Any],
    limit: ConnectionLimit,
    begin: Callable[[socket, SemaphorePermit], None],
) -> None:
    """Take connections for ever.

    Args:
        listener: Where from.
        limit: How many at once: a place is taken before the connection, so further
            ones wait in the kernel.
        begin: Takes over a connection and its place.

    Raises:
        Closed: The listener was closed.
        OSError: It is broken.

    Cancel safety:
        Safe: what was accepted has been handed over.
    """
    back_off = _FIRST_BACK_OFF
    batch = 0
    while True:
        permit = await limit.acquire()
        try:
            sock = listener.try_accept_socket()
        except BaseException as error:
            limit.release(permit)
            if not isinstance(error, OSError) or error.errno not in _SHORTAGES:
                raise
            _logger.warning(
                "cannot accept on %s: %s; trying again in %.2f s",
                listener,
                error,
                back_off,
            )
            await sleep(back_off)
            back_off = min(2 * back_off, _LAST_BACK_OFF)
            continue
        if sock is None:
            # No place is kept for who may come: another listener may need it.
            limit.release(permit)
            batch = 0
            await listener.readable()
            continue
        back_off = _FIRST_BACK_OFF
        begin(sock, permit)
        batch += 1
        if batch >= _BATCH:
            batch = 0
            await yield_now()
