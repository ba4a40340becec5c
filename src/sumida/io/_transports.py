"""What the loops' own futures and transports do not offer: a wake-up now, a reset."""

import asyncio
import socket
import struct
from asyncio import AbstractEventLoop, Future
from typing import Final

__all__ = ("reset_on_close", "run_waiting_task")

_NO_LINGER: Final = struct.pack("ii", 1, 0)


def run_waiting_task(loop: AbstractEventLoop, future: Future[object]) -> bool:
    """Run the task that waits for `future`, where its own way is a turn later.

    To be called where a transport tells of data, and nothing is left to do there.

    Args:
        loop: The loop, whose thread this is.
        future: Not done; one task waits for it.

    Returns:
        Whether that was possible; if not, nothing was changed.
    """
    # Within a task's step another cannot run.
    if asyncio.current_task(loop) is not None:
        return False
    callbacks = future._callbacks
    if callbacks is None or len(callbacks) != 1:
        return False
    # The task's own. What the future would do in the next turn:
    callback, context = callbacks[0]
    future.remove_done_callback(callback)
    future.set_result(None)
    try:
        context.run(callback, future)
    except (KeyboardInterrupt, SystemExit) as error:
        # The transport of uvloop would take it for its own fault; the loop ends.
        loop.call_soon(_raise, error)
    return True


def _raise(error: BaseException) -> None:
    raise error


def reset_on_close(transport: asyncio.BaseTransport) -> None:
    """Let the end of a TCP connection be a reset, so that nobody takes it for an end.

    A close alone is a FIN where all was read, and what was cut off looks complete.

    Args:
        transport: Of a connection that is about to be aborted.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        except OSError:
            return  # it has gone already
