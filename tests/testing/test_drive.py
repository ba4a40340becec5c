"""Turns of the loop, counted."""

import asyncio

from sumida.testing import turns
from tests.support import Run


def test_so_many_turns_pass(run: Run) -> None:
    """Another task runs once in each turn."""

    async def main() -> int:
        count = 0

        async def other() -> None:
            nonlocal count
            while True:
                count += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        await turns(5)
        seen = count
        task.cancel()
        await asyncio.wait([task])
        return seen

    assert run(main) in {5, 6}
