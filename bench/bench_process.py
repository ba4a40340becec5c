"""Children against asyncio's own, on each loop.

python bench/bench_process.py
"""

import asyncio
import time
from asyncio import AbstractEventLoop
from asyncio.subprocess import PIPE
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import Final

from harness import Row, best_of, show

from sumida.process import Command

SPAWNS: Final = 10
AT_ONCE: Final = 40
SIZE: Final = 256 << 20

Main = Callable[[], Coroutine[object, object, None]]
Runner = Callable[[Main], float]


async def spawn_in_turn() -> None:
    """Start `true` and wait for it, one after the other."""
    for _ in range(SPAWNS):
        child = await Command("true").spawn()
        await child.wait()


async def asyncio_in_turn() -> None:
    """The same with asyncio."""
    for _ in range(SPAWNS):
        child = await asyncio.create_subprocess_exec("true")
        await child.wait()


async def _one() -> None:
    child = await Command("true").spawn()
    await child.wait()


async def _one_of_asyncio() -> None:
    child = await asyncio.create_subprocess_exec("true")
    await child.wait()


async def spawn_at_once() -> None:
    """Start many, and wait for all."""
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(_one())


async def asyncio_at_once() -> None:
    """The same with asyncio."""
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(_one_of_asyncio())


async def output() -> None:
    """Keep all that a child writes."""
    got = await Command("head", "-c", str(SIZE), "/dev/zero").output(limit=SIZE)
    assert len(got.stdout) == SIZE


async def communicate() -> None:
    """The same with asyncio."""
    child = await asyncio.create_subprocess_exec(
        "head", "-c", str(SIZE), "/dev/zero", stdout=PIPE, stderr=PIPE
    )
    got, _ = await child.communicate()
    assert len(got) == SIZE


def on(make: Callable[[], AbstractEventLoop]) -> Runner:
    """Give what runs and times an async function on a loop of this kind."""

    async def timed(main: Main) -> float:
        start = time.perf_counter()
        await main()
        return time.perf_counter() - start

    def run(main: Main) -> float:
        with asyncio.Runner(loop_factory=make) as runner:
            return runner.run(timed(main))

    return run


def rows_on(name: str, run: Runner) -> list[Row]:
    """Measure on one kind of loop."""
    peer = f"asyncio on {name}"
    rows = []
    for case, pair, count, rounds, unit, scale, floor in (
        ("spawn and wait", (spawn_in_turn, asyncio_in_turn), SPAWNS, 60, "us", 1e3, 1),
        ("40 at once", (spawn_at_once, asyncio_at_once), AT_ONCE, 9, "us", 1e3, None),
        ("output of 256 MiB", (output, communicate), 1, 5, "ms", 1e6, 1),
    ):
        ours, theirs = best_of(pair, count, runners=[run, run], rounds=rounds)
        label = f"{case}, {name}"
        rows.append(Row(label, ours / scale, peer, theirs / scale, unit, floor))
    return rows


def rows() -> list[Row]:
    """Measure.

    Returns:
        The rows of the table.
    """
    found = rows_on("asyncio's loop", on(asyncio.new_event_loop))
    if find_spec("uvloop") is not None:
        import uvloop  # noqa: PLC0415  # an optional dependency

        found += rows_on("uvloop", on(uvloop.new_event_loop))
    return found


if __name__ == "__main__":
    show("children", rows())
