"""What runs inside a worker process: one call after the other, until told to end.

Imports little, because every worker pays for it when it starts.
"""

import os
import pickle
import select
import signal
import threading
import traceback
from collections.abc import Callable
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from typing import Final

__all__ = ("END", "READY", "Reply", "Request", "serve")

Request = tuple[Callable[..., object], tuple[object, ...], dict[str, object]]
"""A call: the function, its positional and its keyword arguments."""

Reply = tuple[bool, object, str]
"""Whether the call returned; its result or exception; the exception's traceback."""

READY: Final = b"ready"
END: Final = b""


def serve(connection: Connection) -> None:
    """Answer calls until the parent ends this process, or is gone.

    Args:
        connection: Calls come from it, and answers go to it.
    """
    # Ctrl-C goes to the whole group of the terminal; the parent decides what it
    # means. It was held back until this line by the thread that started us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(
        target=_end_with_parent, args=(connection,), name="sumida-parent", daemon=True
    ).start()
    try:
        connection.send_bytes(READY)
        while (request := connection.recv_bytes()) != END:
            connection.send_bytes(_answer(request))
    except (EOFError, OSError):
        return  # the parent is gone


def _end_with_parent(connection: Connection) -> None:
    """End this process at once when the parent is gone, even in a call.

    The system reports the other end of the pipe as hung up when the parent died in
    whatever way; asking for no other event leaves the answers alone.
    """
    if hasattr(select, "poll"):
        poller = select.poll()
        poller.register(connection.fileno(), 0)
        poller.poll()
    else:
        parent = parent_process()
        if parent is None:
            return
        parent.join()
    # Nobody is left who could wait for a clean end.
    os._exit(1)


def _answer(request: bytes) -> bytes:
    try:
        # From our own parent, over a pipe that nobody else holds.
        call: Request = pickle.loads(request)  # noqa: S301
        fn, args, kwargs = call
    except BaseException as error:  # noqa: BLE001  # it is the caller's to handle
        return _failure(error)
    try:
        result = fn(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001  # it is the caller's to handle
        return _failure(error)
    try:
        return pickle.dumps((True, result, ""), pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001  # pickle lets anything through
        kind = type(result).__qualname__
        return _failure(TypeError(f"a result of type {kind} cannot be sent: {error}"))


def _failure(error: BaseException) -> bytes:
    trace = "".join(traceback.format_exception(error))
    try:
        reply = pickle.dumps((False, error, trace), pickle.HIGHEST_PROTOCOL)
        # An exception whose __init__ wants more than its args is written without
        # complaint and cannot be read.
        pickle.loads(reply)  # noqa: S301
    except Exception:  # noqa: BLE001  # pickle lets anything through
        substitute = RuntimeError(f"{type(error).__qualname__}: {error}")
        return pickle.dumps((False, substitute, trace), pickle.HIGHEST_PROTOCOL)
    return reply
