# ruff: noqa: TID252  # the package is found where it lies, under any name
"""The table of commands: what there is, what each one takes, and how one is called.

A command is a function of a client and of its arguments, entered by `@command`. How
many arguments it takes is read off its signature, and its help is its docstring.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter
from typing import Concatenate, Final, ParamSpec, TypeAlias, final

from ..client import Block, Client
from ..protocol import Request
from ..replies import QUEUED, RESP3, Reply, ReplyError

__all__ = (
    "COMMANDS",
    "LONGEST",
    "MAX_QUEUED",
    "Command",
    "Outcome",
    "command",
    "execute",
    "parse_int",
    "text",
)

P = ParamSpec("P")

Outcome: TypeAlias = "Reply | Block"

MAX_QUEUED: Final = 10_000
"""Requests that may stand between MULTI and EXEC."""

LONGEST: Final = 2**62
"""Milliseconds that a key may live."""

_INT64: Final = range(-(2**63), 2**63)


@final
@dataclass(frozen=True, slots=True)
class Command:
    """One entry.

    Attributes:
        name: In capitals.
        function: Called with the client and the arguments.
        least: The smallest number of words, with the name.
        most: The greatest.
        flags: As COMMAND tells them. "immediate": not queued by MULTI; "no_multi":
            refused by it; "hearing": allowed to a subscriber that speaks RESP2.
        keys: Where keys stand among the words: the first, the last, each how many.
        summary: What it does.
    """

    name: bytes
    function: Callable[Concatenate[Client, ...], Outcome]
    least: int
    most: float
    flags: tuple[bytes, ...]
    keys: tuple[int, int, int]
    summary: str

    @property
    def arity(self) -> int:
        """As Redis tells it: the number of words; negative for "or more"."""
        return self.least if self.least == self.most else -self.least


COMMANDS: Final[dict[bytes, Command]] = {}
"""The commands, by their names in capitals and in small letters."""


def command(
    name: str, *, flags: str = "", keys: tuple[int, int, int] = (0, 0, 0)
) -> Callable[
    [Callable[Concatenate[Client, P], Outcome]],
    Callable[Concatenate[Client, P], Outcome],
]:
    """Enter a function into the table.

    Args:
        name: The command's.
        flags: See `Command`; separated by blanks.
        keys: See `Command`.

    Returns:
        A decorator that leaves the function as it is.
    """

    def enter(
        function: Callable[Concatenate[Client, P], Outcome],
    ) -> Callable[Concatenate[Client, P], Outcome]:
        # The client is the first one; the name of the command takes its place.
        parameters = inspect.signature(function).parameters.values()
        fixed = [
            each for each in parameters if each.kind is not Parameter.VAR_POSITIONAL
        ]
        entry = Command(
            name.encode(),
            function,
            sum(each.default is Parameter.empty for each in fixed),
            len(fixed) if len(fixed) == len(parameters) else float("inf"),
            tuple(flags.encode().split()),
            keys,
            (function.__doc__ or "").partition("\n")[0],
        )
        COMMANDS[entry.name] = COMMANDS[entry.name.lower()] = entry
        return function

    return enter


def execute(client: Client, request: Request) -> Outcome:
    """Carry out one request.

    Args:
        client: Whose.
        request: Its words.

    Returns:
        The reply, which may be an error; or what the client has to wait for.
    """
    name = request[0]
    found = COMMANDS.get(name) or COMMANDS.get(name.upper())
    if found is None or not found.least <= len(request) <= found.most:
        return _refuse(client, found, request)
    if not client.is_plain:
        instead = _in_a_mode(client, found, request)
        if instead is not None:
            return instead
    try:
        return found.function(client, *request[1:])
    except ReplyError as error:
        return error


def _refuse(client: Client, found: Command | None, request: Request) -> ReplyError:
    """Say what is wrong with a request; a transaction that has one is spoiled."""
    client.is_spoiled = True
    if found is not None:
        name = text(found.name.lower())
        return ReplyError(f"ERR wrong number of arguments for '{name}' command")
    arguments = "".join(f"'{text(word)[:128]}' " for word in request[1:9])
    return ReplyError(
        f"ERR unknown command '{text(request[0])[:128]}', "
        f"with args beginning with: {arguments}"
    )


def _in_a_mode(client: Client, found: Command, request: Request) -> Reply:
    """Do what is done with a request in a transaction, or by a subscriber of RESP2.

    Returns:
        The reply, or None if the command is to be carried out all the same.
    """
    if client.queue is not None:
        if b"immediate" in found.flags:
            return None
        if b"no_multi" in found.flags:
            client.is_spoiled = True
            return ReplyError("ERR Command not allowed inside a transaction")
        client.queued_bytes += sum(map(len, request))
        limits = client.shared.limits
        if len(client.queue) >= MAX_QUEUED or client.queued_bytes > limits.total:
            client.is_spoiled = True
            return ReplyError("ERR the transaction is too big")
        client.queue.append(request)
        return QUEUED
    if client.protocol == RESP3 or b"hearing" in found.flags:
        return None
    return ReplyError(
        f"ERR Can't execute '{text(found.name.lower())}': only (P|S)SUBSCRIBE / "
        "(P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
    )


def text(word: bytes) -> str:
    """Make a text of a client's word, for a message to that client.

    Args:
        word: Any bytes.

    Returns:
        The text; `replies` makes the same bytes of it again.
    """
    return word.decode(errors="surrogateescape")


def parse_int(
    word: bytes, message: str = "ERR value is not an integer or out of range"
) -> int:
    """Read an integer, as Redis does: 64 bits, and nothing around it.

    Args:
        word: The digits.
        message: What to say if it is none.

    Returns:
        The integer.

    Raises:
        ReplyError: It is none.
    """
    # Not `int` alone: that takes blanks, underscores and any number of digits.
    digits = word.removeprefix(b"-")
    if digits.isdigit() and len(digits) <= 19:  # noqa: PLR2004  # of 64 bits
        number = int(word)
        if number in _INT64 and b"%d" % number == word:
            return number
    raise ReplyError(message)
