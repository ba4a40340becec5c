"""What the tests of the locks share: a waiter that is cancelled, and one behind it."""

import asyncio
from collections.abc import Callable, Sequence

from sumida.operation import Operation
from sumida.testing import Outcome, turns


class TwoWaiters:
    """Two tasks wait for one grant; the first is cancelled.

    Args:
        wait: Makes an operation that waits.
        grant: Lets one of those who wait go on.
        give_back: What the first does with what it got.
    """

    def __init__(
        self,
        wait: Callable[[], Operation[object]],
        grant: Callable[[], object],
        give_back: Callable[[object], object],
    ) -> None:
        self.wait = wait
        self.grant = grant
        self.give_back = give_back
        self.second: asyncio.Task[object] | None = None

    async def take(self) -> object:
        """Wait, and keep what is granted."""
        return await self.wait()

    async def subject(self) -> object:
        """Be the first in line."""
        loop = asyncio.get_running_loop()
        loop.call_soon(self.follow)
        got = await self.wait()
        self.give_back(got)
        return got

    def follow(self) -> None:
        """Let another come behind."""
        self.second = asyncio.get_running_loop().create_task(self.take())

    def wakes(self) -> Sequence[Callable[[], object]]:
        """One grant."""
        return [self.grant]

    async def check(self, outcome: Outcome) -> None:
        """The grant is with one of them: never with both, never with nobody."""
        await turns()
        if self.second is None:
            self.grant()
            return
        if not outcome.is_woken and not outcome.returned:
            assert not self.second.done(), "granted without a grant"
            self.grant()
            await turns()
        assert self.second.done(), "the grant is lost"
        self.give_back(self.second.result())
