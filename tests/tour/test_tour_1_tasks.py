"""The tour, section 1, as it stands: run, JoinSet, blocking work, task locals."""

import pathlib
from asyncio import Task
from typing import assert_type

import sumida
from sumida import JoinSet, TaskLocal, sleep, spawn_blocking, spawn_cpu, timeout

REQUEST_ID: TaskLocal[str] = TaskLocal("request_id")


def heavy(n: int) -> int:
    """Compute something."""
    return sum(range(n))


async def fetch(n: int) -> int:
    """Wait a little, then give a square."""
    await sleep(0.01)
    return n * n


async def main() -> int:
    """Do what the tour does."""
    async with JoinSet[int]() as tasks:
        for n in range(10):
            tasks.spawn(fetch(n), name=f"fetch-{n}")
        total = 0
        async for task in tasks:
            assert_type(task, Task[int])
            total += task.result()
    digest = await spawn_blocking(pathlib.Path("/etc/hostname").read_bytes)
    score = await spawn_cpu(heavy, 10_000)
    with REQUEST_ID.scope("r-1"):
        assert REQUEST_ID.get() == "r-1"
        assert_type(REQUEST_ID.get(), str)
    async with timeout(5):
        await fetch(3)
    assert_type(digest, bytes)
    assert_type(score, int)
    assert digest
    assert score == heavy(10_000)
    return total


def test_section_1_runs() -> None:
    """It gives what the tour says."""
    assert sumida.run(main) == 285
    assert_type(sumida.run(main), int)
