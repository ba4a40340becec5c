"""From a name and a port to a connected socket.

Names are looked up on threads of their own: asyncio uses its default executor, where a
few slow calls of the program let every connect time out. Addresses are tried as RFC
8305 has it ("happy eyeballs"): families in turn, a new attempt each quarter of a
second or as soon as one failed, and the first that answers wins. uvloop has no such
thing, so it is done here for both loops.
"""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Final, TypeAlias

from sumida._core.settle import cancel_and_wait
from sumida.errors import ConnectError
from sumida.net._options import Options
from sumida.runtime.blocking import BlockingPool

__all__ = ("Address", "connect_socket", "resolve", "show_address")

ATTEMPT_DELAY: Final = 0.25
"""Seconds before the next address is tried beside the last; RFC 8305's number."""

RESOLVER_THREADS: Final = 16
"""Names that are looked up at once; more wait in line."""

Address: TypeAlias = tuple[socket.AddressFamily, tuple[str, int]]

_pool: Final = BlockingPool(RESOLVER_THREADS, name="sumida-resolver")


def show_address(address: object) -> str:
    """Write an address as people do.

    Args:
        address: As the socket module gives it.

    Returns:
        "127.0.0.1:80", "[::1]:80", a path, or "unnamed".
    """
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if isinstance(address, bytes):
        return "@" + address.lstrip(b"\0").decode(errors="replace")
    return str(address) or "unnamed"


def _numeric(host: str, port: int) -> list[Address] | None:
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, host)
            return [(family, (host, port))]
    return None


async def resolve(
    host: str | None, port: int, *, is_passive: bool = False
) -> list[Address]:
    """Look up the addresses of a host.

    Args:
        host: A name or an address; None for all of this machine.
        port: 0 to 65535.
        is_passive: Whether they are for listening.

    Returns:
        The addresses, in the system's order of preference.

    Raises:
        ValueError: `port` is out of range.
        ConnectError: The name is not known.

    Cancel safety:
        Safe.
    """
    if not 0 <= port <= 65535:  # noqa: PLR2004  # 16 bits
        raise ValueError(f"port must be 0 to 65535, not {port}")
    if host is not None:
        numeric = _numeric(host, port)
        if numeric is not None:
            return numeric
    flags = socket.AI_PASSIVE if is_passive else 0
    try:
        found = await _pool.run(
            socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, flags=flags
        )
    except (OSError, UnicodeError) as error:
        name = str(host)
        raise ConnectError(f"{name}:{port}", (str(error),)) from error
    # An address may be listed twice; `dict` keeps the order.
    return list(
        dict.fromkeys(
            (family, address)  # type: ignore[misc]  # of TCP, so host and port
            for family, _, _, _, address in found
        )
    )


def _interleaved(addresses: Sequence[Address]) -> list[Address]:
    """Take the families in turn, the preferred one first."""
    first = [each for each in addresses if each[0] == addresses[0][0]]
    other = [each for each in addresses if each[0] != addresses[0][0]]
    mixed = chain.from_iterable(zip_longest(first, other))
    return [each for each in mixed if each is not None]


def _tell(address: Address, error: BaseException) -> str:
    """Say what became of an address: asyncio's own text leaves out the reason."""
    number = getattr(error, "errno", None)
    reason = os.strerror(number) if number else str(error)
    return f"{show_address(address[1])}: {reason}"


async def _connect_one(
    address: Address, options: Options, local: tuple[str, int] | None
) -> socket.socket:
    family, target = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)  # noqa: FBT003  # the stdlib's signature
        options.set_buffers(sock)
        if local is not None:
            sock.bind(local)
        await asyncio.get_running_loop().sock_connect(sock, target)
        _refuse_itself(sock)
    except BaseException:
        sock.close()
        raise
    return sock


def _refuse_itself(sock: socket.socket) -> None:
    """Refuse a socket whose own port was chosen for it, where nobody listens."""
    if sock.getsockname() == sock.getpeername():
        raise ConnectionRefusedError(errno.ECONNREFUSED, "nobody listens there")


async def connect_socket(
    host: str, port: int, options: Options, local: tuple[str, int] | None
) -> socket.socket:
    """Connect to the first address of `host` that answers.

    Args:
        host: A name or an address.
        port: 1 to 65535.
        options: Of the socket.
        local: The address to connect from; the system's choice when None.

    Returns:
        A non-blocking socket.

    Raises:
        ConnectError: None answered; it says what each did.
        ValueError: `port` is out of range.

    Cancel safety:
        Safe: every attempt is ended and closed.
    """
    addresses = await resolve(host, port)
    if len(addresses) == 1:
        try:
            return await _connect_one(addresses[0], options, local)
        except OSError as error:
            failure = _tell(addresses[0], error)
            raise ConnectError(f"{host}:{port}", (failure,)) from error
    return await _race(f"{host}:{port}", _interleaved(addresses), options, local)


async def _race(
    what: str,
    addresses: list[Address],
    options: Options,
    local: tuple[str, int] | None,
) -> socket.socket:
    """Try one address after the other, each with a head start; the first wins."""
    loop = asyncio.get_running_loop()
    failures: list[str] = []
    attempts: dict[asyncio.Task[socket.socket], Address] = {}
    winner: socket.socket | None = None
    waiting = list(reversed(addresses))
    try:
        while winner is None and (waiting or attempts):
            if waiting:
                address = waiting.pop()
                attempt = _connect_one(address, options, local)
                attempts[loop.create_task(attempt)] = address
            done, _ = await asyncio.wait(
                attempts,
                timeout=ATTEMPT_DELAY if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                address = attempts[task]
                error = task.exception()
                if error is not None:
                    failures.append(_tell(address, error))
                    del attempts[task]
                elif winner is None:
                    winner = task.result()
                    del attempts[task]
    finally:
        # Losers that connected in the same tick are closed too.
        for task in attempts:
            task.add_done_callback(_close_loser)
        await cancel_and_wait(attempts)
    if winner is None:
        raise ConnectError(what, tuple(failures))
    return winner


def _close_loser(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
