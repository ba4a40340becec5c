"""Yielding lets every other ready task run."""

import asyncio

from sumida import yield_now
from tests.support import Run


def test_the_others_run_first(run: Run) -> None:
    """One turn, whoever asks."""

    async def main() -> list[str]:
        seen: list[str] = []

        async def other(name: str) -> None:
            seen.append(name)

        tasks = [asyncio.create_task(other(name)) for name in "ab"]
        await yield_now()
        seen.append("main")
        await asyncio.wait(tasks)
        return seen

    assert run(main) == ["a", "b", "main"]
