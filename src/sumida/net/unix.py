"""Unix domain sockets: streams between processes of one machine.

`UnixStream.connect`, `UnixStream.pair` and `UnixListener.bind`. Linux and other Unix
systems only.
"""

import asyncio
import contextlib
import os
import socket
import stat
import struct
from pathlib import Path
from typing import NamedTuple, Self, Unpack, final

from sumida.errors import ConnectError, Elapsed
from sumida.io._checks import check_timeout
from sumida.io._engine import Engine
from sumida.io.stream import Stream
from sumida.net._attach import attach
from sumida.net._connect import show_address
from sumida.net._listen import BACKLOG, Listener
from sumida.net._options import CONNECT_TIMEOUT, Options, StreamOptions
from sumida.runtime.timeouts import timeout

__all__ = ("PeerCredentials", "UnixListener", "UnixStream")


class PeerCredentials(NamedTuple):
    """The process on the other side of a Unix socket.

    Attributes:
        pid: Its process id.
        uid: Its user.
        gid: Its group.

    Source:
        `tokio::net::unix::UCred`
    """

    pid: int
    uid: int
    gid: int


@final
class UnixStream(Stream):
    """A connection over a Unix domain socket.

    Source:
        `tokio::net::UnixStream`
    """

    __slots__ = ()

    @classmethod
    async def connect(
        cls,
        path: str | os.PathLike[str],
        *,
        connect_timeout: float | None = CONNECT_TIMEOUT,
        **options: Unpack[StreamOptions],
    ) -> Self:
        """Connect to the server that listens at `path`.

        Args:
            path: Of the socket; one that begins with a zero byte has no file.
            connect_timeout: How long it may take, in seconds; None for ever.
            **options: See `StreamOptions`.

        Returns:
            The stream.

        Raises:
            ValueError: An argument is out of range.
            ConnectError: Nobody listens there.
            Elapsed: It took too long.

        Cancel safety:
            Safe: a cancelled call leaves nothing open.
        """
        check_timeout("connect_timeout", connect_timeout)
        checked = Options(**options)
        name = os.fspath(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)  # noqa: FBT003  # the stdlib's signature
            checked.set_buffers(sock)
            async with timeout(connect_timeout):
                await asyncio.get_running_loop().sock_connect(sock, name)
                return cls(await attach(sock, cls.__name__, checked))
        except OSError as error:
            sock.close()
            if isinstance(error, Elapsed):
                raise Elapsed(error.after, f"a connection to {name}") from None
            raise ConnectError(name, (str(error),)) from error
        except BaseException:
            sock.close()
            raise

    @classmethod
    async def pair(cls, **options: Unpack[StreamOptions]) -> tuple[Self, Self]:
        """Make two streams that are connected to each other.

        Args:
            **options: See `StreamOptions`.

        Returns:
            The two ends.

        Raises:
            ValueError: An option is out of range.

        Cancel safety:
            Safe: a cancelled call leaves nothing open.
        """
        checked = Options(**options)
        one, other = socket.socketpair()
        try:
            first = await attach(one, cls.__name__, checked)
        except BaseException:
            other.close()
            raise
        try:
            second = await attach(other, cls.__name__, checked)
        except BaseException:
            first.abort()
            raise
        return cls(first), cls(second)

    @property
    def peer_address(self) -> str:
        """The path of the other side; empty if it has none."""
        known = self._engine.transport.get_extra_info("peername") or ""
        return show_address(known) if known else ""

    @property
    def peer_credentials(self) -> PeerCredentials:
        """Who was on the other side when it connected, by the kernel's word (Linux).

        Raises:
            OSError: The connection is gone, or the system cannot tell.
        """
        sock = self._engine.transport.get_extra_info("socket")
        size = struct.calcsize("3i")
        data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        return PeerCredentials(*struct.unpack("3i", data))


@final
class UnixListener(Listener[UnixStream]):
    """A Unix domain socket that accepts connections; made by `bind`.

    Source:
        `tokio::net::UnixListener`
    """

    __slots__ = ("_path",)

    _path: Path | None

    @classmethod
    async def bind(
        cls,
        path: str | os.PathLike[str],
        *,
        backlog: int = BACKLOG,
        mode: int | None = None,
        **options: Unpack[StreamOptions],
    ) -> Self:
        """Listen at `path`; a socket there that nobody listens on is replaced.

        Args:
            path: Where; its directory must exist. One that begins with a zero byte
                has no file (Linux).
            backlog: Connections that may wait to be accepted.
            mode: The file's permissions, such as 0o600; by default those that the
                umask leaves.
            **options: Of the connections; see `StreamOptions`.

        Returns:
            The listener; its file is removed when it is closed.

        Raises:
            ValueError: An argument is out of range.
            OSError: The path is in use, or no socket, or its directory is missing.

        Cancel safety:
            Safe: a cancelled call leaves nothing open.
        """
        if backlog < 1:
            raise ValueError(f"backlog must be 1 or more, not {backlog}")
        checked = Options(**options)
        name = os.fspath(path)
        # One that begins with a zero byte has no file, and ends with the socket.
        place = None if name.startswith("\0") else Path(name)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if place is not None:
                _remove_dead(place)
            sock.bind(name)
            if mode is not None and place is not None:
                os.chmod(place, mode)  # noqa: PTH101  # one short call
            checked.set_buffers(sock)
            sock.listen(backlog)
        except BaseException:
            sock.close()
            raise
        listener = cls(sock, checked, None, None)
        listener._path = place
        return listener

    def _make_stream(self, engine: Engine) -> UnixStream:
        return UnixStream(engine)

    @property
    def path(self) -> Path | None:
        """Where it listens; None where it has no file, and once it was closed."""
        return self._path

    def close(self) -> None:
        """Stop accepting and remove the file; see `Listener.close`."""
        path, self._path = self._path, None
        Listener.close(self)
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink()


def _remove_dead(path: Path) -> None:
    """Remove a socket on which nobody listens; anything else stays."""
    try:
        is_socket = stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return
    if not is_socket:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # noqa: FBT003  # the stdlib's signature
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        except OSError:
            return
