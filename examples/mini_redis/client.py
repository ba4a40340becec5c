"""What is known of one client, and what all of them share. No I/O: commands act on it.

The session (`session.py`) owns the connection, and has one `Client`; the commands get
that as their first argument.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import final

from .protocol import Limits, Request
from .pubsub import Hub, Subscriber
from .replies import RESP2, RESP3
from .store import Store
from .waiting import WaitingLine

__all__ = ("Block", "Client", "Shared", "Statistics")


@final
@dataclass(slots=True)
class Statistics:
    """What INFO tells.

    Attributes:
        connections: Clients that have come.
        commands: Commands that were carried out.
        refused: Clients that were cut off, for what they sent or did not read.
    """

    connections: int = 0
    commands: int = 0
    refused: int = 0


@final
class Shared:
    """What all clients act on. One task runs at a time, so nothing is locked.

    Args:
        clock: Gives the time in seconds; it never goes back.
        limits: What one request may take.

    Attributes:
        clock: As above.
        limits: As above.
        store: The data.
        hub: Who is subscribed to what.
        line: Who waits for items of lists.
        clients: By their number.
        statistics: What has been.
        started: When the server began, by its clock.
        port: Where it listens.
    """

    __slots__ = (
        "clients",
        "clock",
        "hub",
        "limits",
        "line",
        "port",
        "started",
        "statistics",
        "store",
    )

    def __init__(self, clock: Callable[[], float], limits: Limits) -> None:
        self.clock = clock
        self.limits = limits
        self.store = Store(clock)
        self.hub = Hub()
        self.line = WaitingLine(self.store)
        self.clients: dict[int, Client] = {}
        self.statistics = Statistics()
        self.started = clock()
        self.port = 0

    def admit(self, address: str, cut_off: Callable[[], object]) -> "Client":
        """Note a new client.

        Args:
            address: Where it comes from.
            cut_off: Ends its connection at once.

        Returns:
            What is known of it.
        """
        self.statistics.connections += 1
        client = Client(self, self.statistics.connections, address, cut_off)
        self.clients[client.number] = client
        return client

    def dismiss(self, client: "Client") -> None:
        """Forget a client that has gone.

        Args:
            client: Which.
        """
        del self.clients[client.number]
        if client.subscriber is not None:
            self.hub.leave(client.subscriber)


@final
@dataclass(frozen=True, slots=True)
class Block:
    """What a command returns whose client has to wait: BLPOP on empty lists.

    Attributes:
        keys: The lists'.
        seconds: How long; 0 for ever.
    """

    keys: Sequence[bytes]
    seconds: float


@final
@dataclass(slots=True, eq=False)
class Client:
    """One client.

    Attributes:
        shared: What all clients share.
        number: Its number; no two have the same.
        address: Where it comes from.
        cut_off: Ends its connection at once.
        name: What it calls itself.
        library: What it says of its library: name and version.
        protocol: The RESP that it speaks, 2 or 3.
        queue: Requests between MULTI and EXEC; None outside.
        queued_bytes: How much is in the queue.
        is_spoiled: Whether a request of the queue was refused, so EXEC will be.
        is_executing: Whether EXEC carries out a queue now.
        subscriber: What it hears; None while it is subscribed to nothing.
        is_plain: Whether each of its commands may be carried out at once: it is in no
            transaction, and has not subscribed by RESP2.
        is_leaving: Whether it asked to be disconnected.
    """

    shared: Shared
    number: int
    address: str
    cut_off: Callable[[], object]
    name: bytes = b""
    library: dict[bytes, bytes] = field(default_factory=dict)
    protocol: int = RESP2
    queue: list[Request] | None = None
    queued_bytes: int = 0
    is_spoiled: bool = False
    is_executing: bool = False
    subscriber: Subscriber | None = None
    is_plain: bool = True
    is_leaving: bool = False

    @property
    def store(self) -> Store:
        """The data."""
        return self.shared.store

    def choose_mode(self) -> None:
        """Set `is_plain`, when something has changed that it depends on."""
        hears_by_resp2 = self.subscriber is not None and self.protocol != RESP3
        self.is_plain = self.queue is None and not hears_by_resp2

    def end_transaction(self) -> None:
        """Be in no transaction any more."""
        self.queue = None
        self.queued_bytes = 0
        self.choose_mode()
