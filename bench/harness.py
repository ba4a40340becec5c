"""Timing side by side: ours and the peers in turn, in one process, as ratios.

These machines are noisy, so nothing is timed once: each round runs every contender
for a short while, one after the other, and each keeps its best round. What is
reported is how many times faster than the peer we are, so that a figure survives a
change of machine.
"""

import asyncio
import gc
import math
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Final

Runner = Callable[[Callable[[], Coroutine[object, object, None]]], float]

ROUNDS: Final = 15
"""How often each contender runs; the best round counts."""

NOTHING: Final = math.inf
"""Owed by what must be 0, such as messages lost: no ratio but that of 0 is enough."""


def figure(value: float) -> str:
    """Write a figure: what was counted as it is, what was timed to a tenth."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of a table.

    Attributes:
        case: What was done.
        ours: Our figure; an int if it was counted, not timed.
        peer: Who else did it.
        theirs: The peer's figure, likewise.
        unit: Of both figures; none where the case says what was counted.
        floor: The ratio that we owe; NOTHING where ours has to be 0; None where it is
            only reported.
    """

    case: str
    ours: float
    peer: str
    theirs: float
    unit: str = "ns"
    floor: float | None = None

    @property
    def ratio(self) -> float:
        """How many times better ours is; infinite where ours is 0."""
        return self.theirs / self.ours if self.ours else math.inf

    @property
    def is_met(self) -> bool:
        """Whether we give what we owe."""
        return self.floor is None or self.ratio >= self.floor

    @property
    def factor(self) -> str:
        """The ratio in words; none where one of the figures is 0."""
        return f"{self.ratio:.2f} x" if self.ours and self.theirs else ""

    @property
    def owed(self) -> str:
        """What we owe in words."""
        if self.floor is None:
            return ""
        return "0" if self.floor == NOTHING else f"{self.floor:g} x"


def counted(case: str, ours: int, peer: str, theirs: int) -> Row:
    """Make a row of something counted in a run of either way, and 0 with us."""
    return Row(case, ours, peer, theirs, unit="", floor=NOTHING)


def timed(main: Callable[[], Coroutine[object, object, None]]) -> float:
    """Run `main` on an asyncio loop and time it from inside, in seconds."""

    async def inner() -> float:
        gc.collect()
        start = time.perf_counter()
        await main()
        return time.perf_counter() - start

    return asyncio.run(inner())


def best_of(
    contenders: Sequence[Callable[[], Awaitable[None]]],
    count: int,
    *,
    runners: Sequence[Runner] | None = None,
    rounds: int = ROUNDS,
) -> list[float]:
    """Time the contenders in turn.

    Args:
        contenders: Async functions without arguments.
        count: How many operations one run of each makes.
        runners: How to run each; asyncio for all by default.
        rounds: How often.

    Returns:
        The best time of each, in nanoseconds per operation.
    """
    chosen = runners or [timed] * len(contenders)
    best = [float("inf")] * len(contenders)
    for _ in range(rounds):
        for index, (run, main) in enumerate(zip(chosen, contenders, strict=True)):
            best[index] = min(best[index], run(main) / count * 1e9)  # type: ignore[arg-type]  # each runner knows its contender
    return best


def show(title: str, rows: Sequence[Row]) -> None:
    """Print `rows` as a table."""
    python = ".".join(map(str, sys.version_info[:3]))
    sys.stdout.write(f"{title} (CPython {python})\n")
    for row in rows:
        owed = f"  owed {row.owed}" if row.owed else ""
        mark = "" if row.is_met else "  MISSED"
        sys.stdout.write(
            f"  {row.case:<58} {figure(row.ours):>10} {row.unit:<5} "
            f"{row.factor:>9} {row.peer} ({figure(row.theirs)}){owed}{mark}\n"
        )
