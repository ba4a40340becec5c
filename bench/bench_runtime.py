"""Tasks, timers and the import against asyncio's.

python bench/bench_runtime.py
"""

import asyncio
import subprocess
import sys
import time

from harness import Row, best_of, show

from sumida.runtime.joinset import JoinSet
from sumida.runtime.timeouts import timeout
from sumida.runtime.timers import sleep

TASKS = 10_000
TIMEOUTS = 5_000
IMPORTS = 15


async def _short() -> None:
    pass


async def join_set() -> None:
    """Spawn short tasks and join them."""
    async with JoinSet[None]() as tasks:
        for _ in range(TASKS):
            tasks.spawn(_short())


async def task_group() -> None:
    """Do the same with a `TaskGroup`."""
    async with asyncio.TaskGroup() as group:
        for _ in range(TASKS):
            group.create_task(_short())


async def our_timeouts() -> None:
    """Enter and leave a deadline."""
    for _ in range(TIMEOUTS):
        async with timeout(10):
            pass


async def asyncio_timeouts() -> None:
    """Do the same with asyncio's."""
    for _ in range(TIMEOUTS):
        async with asyncio.timeout(10):  # noqa: ASYNC100  # the cost of it alone
            pass


async def our_sleeps() -> None:
    """Let the others run, by a sleep of no time."""
    for _ in range(TIMEOUTS):
        await sleep(0)


async def asyncio_sleeps() -> None:
    """Do the same with asyncio's."""
    for _ in range(TIMEOUTS):
        await asyncio.sleep(0)


def import_ms(module: str) -> float:
    """Time an interpreter that imports `module` and ends, in milliseconds."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)  # noqa: S603
    return (time.perf_counter() - start) * 1e3


def rows() -> list[Row]:
    """Measure all cases.

    Returns:
        The rows of the table.
    """
    ours, theirs = best_of([join_set, task_group], TASKS, rounds=9)
    own_timeout, their_timeout, own_sleep, their_sleep = best_of(
        [our_timeouts, asyncio_timeouts, our_sleeps, asyncio_sleeps], TIMEOUTS
    )
    imports = [(import_ms("sumida"), import_ms("asyncio")) for _ in range(IMPORTS)]
    own_import = min(pair[0] for pair in imports)
    their_import = min(pair[1] for pair in imports)
    return [
        Row("JoinSet of 10,000 tasks", ours, "TaskGroup", theirs, floor=0.9),
        Row("timeout, not reached", own_timeout, "asyncio.timeout", their_timeout),
        Row("sleep(0)", own_sleep, "asyncio.sleep(0)", their_sleep),
        Row(
            "import sumida",
            own_import,
            "import asyncio",
            their_import,
            unit="ms",
            floor=1 / 1.3,
        ),
    ]


if __name__ == "__main__":
    show("runtime", rows())
