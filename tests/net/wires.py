"""Connections for the tests of pools: they count themselves, and come when told to."""

import asyncio
from dataclasses import dataclass, field
from typing import final

__all__ = ("Maker", "Wire")


@final
@dataclass(eq=False)
class Wire:
    """A connection.

    Attributes:
        maker: Where it comes from.
        number: From 1.
        is_closed: Whether it was closed.
        user: Who uses it now.
    """

    maker: "Maker"
    number: int
    is_closed: bool = False
    user: object = None

    def close(self) -> None:
        """Close it; once only."""
        assert not self.is_closed
        self.is_closed = True
        self.maker.open.discard(self)

    def __repr__(self) -> str:
        return f"wire {self.number}"


@final
@dataclass(eq=False)
class Maker:
    """Makes connections.

    Attributes:
        waits: Whether each waits for its gate.
        gates: Of those that wait.
        open: Those that were made and not closed.
        made: How many there were.
        most: How many were open at once.
        begun: How many were asked for.
    """

    waits: bool = False
    gates: list[asyncio.Future[None]] = field(default_factory=list)
    open: set[Wire] = field(default_factory=set)
    made: int = 0
    most: int = 0
    begun: int = 0

    async def __call__(self) -> Wire:
        """Make one."""
        self.begun += 1
        if self.waits:
            gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.gates.append(gate)
            try:
                await gate
            finally:
                self.gates.remove(gate)
        self.made += 1
        wire = Wire(self, self.made)
        self.open.add(wire)
        self.most = max(self.most, len(self.open))
        return wire

    def let(self) -> None:
        """Let the first that waits come."""
        next(gate for gate in self.gates if not gate.done()).set_result(None)

    def fail(self, error: Exception | None = None) -> None:
        """Let the first that waits fail."""
        gate = next(gate for gate in self.gates if not gate.done())
        gate.set_exception(error or ConnectionRefusedError("no"))
