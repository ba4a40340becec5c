"""TLS over an engine, on memory buffers.

asyncio's own TLS cannot end one side and read on, and differs between the loops; here
the record layer of `ssl` works on two buffers, and everything else is the engine's.
"""

import contextlib
import ssl
from asyncio import BaseTransport, Future
from typing import Final, final

from sumida.errors import Disconnected
from sumida.io._engine import Engine

__all__ = ("TlsEngine",)

PLAIN_SIZE: Final = 64 * 1024
"""Bytes decrypted at once; a record has 16 KiB."""


@final
class TlsEngine(Engine):
    """An engine whose bytes are encrypted on the way.

    Args:
        what: As in `Engine`.
        context: The certificates and versions.
        read_timeout: As in `Engine`.
        write_timeout: As in `Engine`.
        server_hostname: The name that the server's certificate must have.
        is_server: Whether this side accepted the connection.

    Attributes:
        tls: The record layer.
    """

    __slots__ = ("_failure", "_incoming", "_outgoing", "_shaking", "tls")

    def __init__(  # noqa: PLR0913  # the one place where all of it meets
        self,
        what: str,
        context: ssl.SSLContext,
        *,
        read_timeout: float | None,
        write_timeout: float | None,
        server_hostname: str | None,
        is_server: bool,
    ) -> None:
        Engine.__init__(
            self, what, read_timeout=read_timeout, write_timeout=write_timeout
        )
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=is_server,
            server_hostname=server_hostname,
        )
        self._shaking: Future[None] | None = self.loop.create_future()
        self._failure: Exception | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin; see `Engine.connection_made`."""
        Engine.connection_made(self, transport)
        self.send = self.write

    async def handshake(self) -> None:
        """Agree with the peer on keys.

        Raises:
            Disconnected: The peer went away, or one side refused the other.

        Cancel safety:
            Not safe: the connection is of no use then.
        """
        shaking = self._shaking
        if shaking is None:
            return
        self._step()
        await shaking

    def _step(self) -> None:
        """Go on with the handshake."""
        shaking = self._shaking
        assert shaking is not None
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
            return
        except ssl.SSLError as error:
            # What was wrong is told to the peer, too.
            self._send()
            self._shaking = None
            self._failure = error
            reason = getattr(error, "verify_message", "") or str(error)
            self._refuse(shaking, reason, error)
            self.close()
            return
        self._send()
        self._shaking = None
        if not shaking.done():
            shaking.set_result(None)
        self._decrypt()

    def _refuse(
        self, shaking: Future[None], reason: str, cause: BaseException | None
    ) -> None:
        if not shaking.done():
            failure = Disconnected(self.what, "handshake", reason)
            failure.__cause__ = cause
            shaking.set_exception(failure)
            # Seen, also where nobody waits for it any more.
            shaking.exception()

    def _send(self) -> None:
        if self._outgoing.pending and not self.is_lost:
            self.transport.write(self._outgoing.read())

    def data_received(self, data: bytes) -> None:
        """Decrypt `data`; see `Engine.data_received`."""
        self._incoming.write(data)
        if self._shaking is not None:
            self._step()
        else:
            self._decrypt()

    def _decrypt(self) -> None:
        # A task that is run in the middle may close it.
        while not self.at_eof and not self.is_closing:
            try:
                plain = self.tls.read(PLAIN_SIZE)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                plain = b""
            except ssl.SSLError as error:
                self._fail(error)
                return
            if plain:
                Engine.data_received(self, plain)
            else:
                Engine.eof_received(self)
        self._send()

    def _fail(self, error: Exception) -> None:
        # An alert may be under way, which says what was wrong.
        self._send()
        self._failure = error
        self.transport.close()
        self.watch_close()

    def eof_received(self) -> bool:
        """Refuse an end without notice, which an attacker could have made.

        Returns:
            True: this side may still write.
        """
        if self.at_eof:
            return True
        message = "the connection ended without a close_notify: it may be cut off"
        self._fail(ssl.SSLEOFError(message))
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all who wait; see `Engine.connection_lost`."""
        shaking, self._shaking = self._shaking, None
        if shaking is not None:
            cause = exc or self._failure
            self._refuse(shaking, str(cause or "the peer has gone"), cause)
        # No longer its own method, which would keep it until the collector comes.
        self.send = self.transport.write
        Engine.connection_lost(self, exc or self._failure)

    def write(self, data: bytes | memoryview) -> None:
        """Encrypt `data` and hand it to the transport."""
        if data:
            self.tls.write(data)
            self.transport.write(self._outgoing.read())

    def end_writing(self) -> None:
        """Send a close_notify: with TLS 1.3 the peer may go on writing."""
        self.has_ended_writing = True
        self.is_ready = False
        self._notify()

    def _notify(self) -> None:
        # It wants the peer's notice, which will come or not; ours is written.
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()
        self._send()

    def close(self) -> None:
        """Close with notice when all that was written has gone out."""
        is_open = not self.transport.is_closing() and self._shaking is None
        if is_open and not self.has_ended_writing and self._failure is None:
            self._notify()
        Engine.close(self)
