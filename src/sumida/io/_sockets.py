"""A transport of our own over a connected socket, for asyncio's own loops.

It does what asyncio's does in half the time: its events come from a `Poller`, what
is sent and received passes one Python function each, and it is connected at once.
"""

import contextlib
import os
import socket
from asyncio import AbstractEventLoop
from collections import deque
from itertools import islice
from typing import Any, Final, final

from sumida._core.sleeper import Sleeper
from sumida.io._engine import Engine
from sumida.io._marks import MarkedTransport
from sumida.io._poller import READ, WRITE, Handler, Poller

__all__ = ("SocketTransport",)

RECEIVE_SIZE: Final = 64 * 1024
"""Bytes asked of the kernel at once: what malloc keeps at hand."""

_PIECES_AT_ONCE: Final = min(os.sysconf("SC_IOV_MAX"), 1024)
"""Pieces handed to the kernel by one call."""


@final
class SocketTransport(MarkedTransport):
    """Reads from a socket, and writes to it.

    Args:
        loop: The event loop.
        poller: Of that loop.
        sock: Connected, and not blocking; closed with the transport.
        engine: What takes the bytes, and is told of room, and of the end.
        peer: The address of the other side, which the system forgets with it.
    """

    __slots__ = (
        "_fd",
        "_has_ended",
        "_is_ending",
        "_is_lost",
        "_is_plain",
        "_is_reading",
        "_name",
        "_peer",
        "_pieces",
        "_poller",
        "_receive",
        "_send",
        "_socket",
        "_watched",
    )

    def __init__(
        self,
        loop: AbstractEventLoop,
        poller: Poller,
        sock: socket.socket,
        engine: Engine,
        peer: object,
    ) -> None:
        MarkedTransport.__init__(self, loop, engine)
        self._poller = poller
        self._socket = sock
        self._fd = sock.fileno()
        self._receive = sock.recv
        self._send = sock.send
        self._peer = peer
        # Its own address, when it is closed.
        self._name: object = None
        # Made when something has to wait.
        self._pieces: deque[bytes | memoryview] | None = None
        self._watched = 0
        self._is_reading = False
        # Of another kind: what arrives is not what a reader waits for.
        self._is_plain = type(engine) is Engine
        # The peer's side, and ours.
        self._has_ended = False
        self._is_ending = False
        self._is_lost = False

    def __repr__(self) -> str:
        state = "lost" if self._is_lost else "closing" if self._is_closing else "open"
        return f"<SocketTransport {self._fd} {state}, {self._unsent} bytes unsent>"

    def start(self) -> None:
        """Tell the engine that it is connected, and read."""
        self._engine.connection_made(self)
        self.resume_reading()

    def get_extra_info(self, name: str, default: object = None) -> Any:  # noqa: ANN401  # asyncio's signature
        """Give the socket, the peer's address, or its own."""
        if name == "socket":
            return self._socket
        if name == "peername":
            return self._peer
        if name == "sockname":
            with contextlib.suppress(OSError):
                return self._name or self._socket.getsockname()
        return default

    # Reading.

    def resume_reading(self) -> None:
        """Read from now on."""
        if not self._is_reading and not self._is_closing and not self._has_ended:
            self._is_reading = True
            self._watch()

    def pause_reading(self) -> None:
        """Read no more for now."""
        if self._is_reading:
            self._is_reading = False
            self._watch()

    def is_reading(self) -> bool:
        """Tell whether it reads."""
        return self._is_reading

    def _readable(self, _mask: int) -> None:
        # By a name of its own: CPython 3.11 calls a slot as slowly as it can.
        receive = self._receive
        try:
            data = receive(RECEIVE_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._fail(error)
            return
        engine = self._engine
        reader = engine.reader
        if type(reader) is Sleeper and engine.wanted == 1 and data and self._is_plain:
            # What `data_received` and `Sleeper.run` do, in one frame: nearly all that
            # ever arrives.
            callback = reader.callback
            if callback is not None:
                engine.reader = reader.callback = None
                engine.chunk = data
                engine.size = len(data)
                try:
                    reader.context.run(callback, reader)
                except (RuntimeError, KeyboardInterrupt, SystemExit) as error:
                    reader.run_later(callback, error)
                return
        self._take(data)

    def _take(self, data: bytes) -> None:
        try:
            if data:
                self._engine.data_received(data)
            else:
                self._has_ended = True
                self.pause_reading()
                self._engine.eof_received()
        except Exception as error:  # noqa: BLE001  # whatever it is: it ends this one
            self._blame(error)

    def _blame(self, error: Exception) -> None:
        self._loop.call_exception_handler(
            {
                "message": f"{self._engine!r} failed",
                "exception": error,
                "transport": self,
                "protocol": self._engine,
            }
        )
        self._fail(error)

    # Writing.

    def write(self, data: Any) -> None:  # noqa: ANN401  # asyncio's signature
        """Write what goes at once, and keep the rest."""
        if self._unsent or self._is_closing:
            if not self._is_closing:
                self._keep(data)
            return
        send = self._send
        try:
            sent = send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._fail(error)
            return
        if sent != len(data):
            self._keep(memoryview(data)[sent:])

    def _keep(self, data: bytes | memoryview) -> None:
        if not data:
            return
        if self._pieces is None:
            self._pieces = deque()
        self._pieces.append(data)
        self._unsent += len(data)
        if not self._watched & WRITE:
            self._watch()
        self._look_at_marks()

    def _writable(self, _mask: int) -> None:
        pieces = self._pieces
        if not pieces:
            return
        try:
            if len(pieces) == 1:
                sent = self._send(pieces[0])
            else:
                sent = self._socket.sendmsg(islice(pieces, _PIECES_AT_ONCE))
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._fail(error)
            return
        self._unsent -= sent
        while sent:
            piece = pieces[0]
            size = len(piece)
            if size > sent:
                pieces[0] = memoryview(piece)[sent:]
                break
            sent -= size
            pieces.popleft()
        try:
            # Who is told of room may write more.
            self._look_at_marks()
            if not pieces:
                self._end_writing()
        except Exception as error:  # noqa: BLE001  # as above
            self._blame(error)

    def _end_writing(self) -> None:
        """Do what had to wait until all was written."""
        self._pieces = None
        self._watch()
        if self._is_closing:
            self._lose(None)
        elif self._is_ending:
            try:
                self._socket.shutdown(socket.SHUT_WR)
            except OSError as error:
                self._fail(error)

    def _either(self, mask: int) -> None:
        if mask & ~WRITE:
            self._readable(mask)
        if mask & ~READ and self._watched & WRITE:
            self._writable(mask)

    def write_eof(self) -> None:
        """End this side when all has been written.

        Raises:
            OSError: The peer has reset it.
        """
        if self._is_ending or self._is_closing:
            return
        self._is_ending = True
        if not self._unsent:
            self._socket.shutdown(socket.SHUT_WR)

    # What is watched, and the end.

    def _watch(self) -> None:
        events = (READ if self._is_reading else 0) | (WRITE if self._pieces else 0)
        if events == self._watched:
            return
        self._watched = events
        if not events:
            # An error or a hang-up would be told again and again.
            self._poller.forget(self._fd)
            return
        handler: Handler
        if events == READ:
            handler = self._readable
        elif events == WRITE:
            handler = self._writable
        else:
            handler = self._either
        try:
            self._poller.watch(self._fd, events, handler)
        except OSError as error:
            # The system has no memory left for it.
            self._fail(error)

    def close(self) -> None:
        """Close it when all has been written."""
        if self._is_closing:
            return
        self._is_closing = True
        self._is_reading = False
        if self._unsent:
            self._watch()
        else:
            self._lose(None)

    def abort(self) -> None:
        """Close it at once."""
        self._lose(None)

    def _fail(self, error: Exception) -> None:
        if not self._is_lost:
            # Nothing more is written into the void until the loop tells of it.
            self._engine.is_ready = False
            self._lose(error)

    def _lose(self, error: Exception | None) -> None:
        if self._is_lost:
            return
        self._is_lost = self._is_closing = True
        self._is_reading = False
        self._pieces = None
        self._unsent = 0
        self._watch()
        self._loop.call_soon(self._finish, error)

    def _finish(self, error: Exception | None) -> None:
        try:
            self._engine.connection_lost(error)
        finally:
            # Whoever failed to make a stream of it may have closed it before.
            with contextlib.suppress(OSError):
                self._name = self._socket.getsockname()
            self._socket.close()
