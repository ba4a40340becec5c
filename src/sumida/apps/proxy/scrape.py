"""A very small HTTP server: GET /metrics and GET /healthz, and nothing else."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final, Self, final

from sumida import Elapsed, timeout
from sumida.apps.proxy.config import Address
from sumida.errors import Disconnected, IncompleteReadError, LimitExceededError
from sumida.net import Server, TcpListener, TcpStream

__all__ = ("Answer", "Scrape", "respond")

Answer = tuple[HTTPStatus, str, bytes]
"""Status, content type, body."""

_HEAD_LIMIT: Final = 8192
"""Bytes that a request may have."""

_PATIENCE: Final = 5.0
"""Seconds for a request to come, and for the answer to be taken."""

_CONNECTIONS: Final = 16
_TEXT: Final = "text/plain; charset=utf-8"


def respond(head: bytes, pages: Callable[[str], Answer | None]) -> bytes:
    """Answer a request.

    Args:
        head: The request up to the empty line.
        pages: Gives the answer for a path, or None.

    Returns:
        The whole response; the connection ends with it.
    """
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    method = ""
    answer: Answer | None
    if len(words) != 3 or not words[2].startswith("HTTP/1."):  # noqa: PLR2004  # method, path, version
        answer = (HTTPStatus.BAD_REQUEST, _TEXT, b"this is not HTTP/1.1\n")
    elif (method := words[0]) not in ("GET", "HEAD"):
        answer = (HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"GET or HEAD only\n")
    else:
        answer = pages(words[1].partition("?")[0])
    if answer is None:
        answer = (HTTPStatus.NOT_FOUND, _TEXT, b"/metrics or /healthz\n")
    status, kind, body = answer
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        lines.append("Allow: GET, HEAD")
    begin = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return begin if method == "HEAD" else begin + body


@final
class Scrape:
    """The server; made by `bind`.

    Args:
        listener: Open.
        pages: As in `respond`.
    """

    __slots__ = ("_listener", "_pages", "_server")

    def __init__(
        self, listener: TcpListener, pages: Callable[[str], Answer | None]
    ) -> None:
        self._listener = listener
        self._pages = pages
        self._server: Server[TcpStream] = Server(
            self._serve, [listener], max_connections=_CONNECTIONS, drain=1.0
        )

    def __repr__(self) -> str:
        return f"<Scrape {self._server!r}>"

    @classmethod
    async def bind(
        cls, address: Address, pages: Callable[[str], Answer | None]
    ) -> Self:
        """Open the port.

        Args:
            address: Where.
            pages: As in `respond`.

        Returns:
            The server, which answers after `start`.

        Raises:
            OSError: The port cannot be had.

        Cancel safety:
            Safe: a cancelled call has opened nothing.
        """
        listener = await TcpListener.bind(
            address.host or None,
            address.port,
            read_timeout=_PATIENCE,
            write_timeout=_PATIENCE,
        )
        return cls(listener, pages)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._listener.port

    def start(self) -> None:
        """Begin to answer."""
        self._server.start()

    async def stop(self) -> None:
        """Answer no more.

        Cancel safety:
            Safe: a cancelled call has cancelled the answers.
        """
        await self._server.stop()

    def close(self) -> None:
        """Close a port that was bound and never started."""
        self._listener.close()

    async def _serve(self, stream: TcpStream) -> None:
        try:
            async with timeout(_PATIENCE):
                head = await stream.read_until(b"\r\n\r\n", limit=_HEAD_LIMIT)
        except (Elapsed, Disconnected, IncompleteReadError):
            return
        except LimitExceededError:
            head = b""
        await stream.write_all(respond(head, self._pages))
        await stream.close_gracefully(_PATIENCE)
