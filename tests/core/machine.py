"""What the model tests share: a state machine with an event loop of its own."""

import asyncio
from collections.abc import Awaitable, Callable

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from sumida import operation
from tests.core.support import of

SETTINGS = settings(
    max_examples=200,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much),
)


class Machine(RuleBasedStateMachine):
    """A machine whose rules do one thing and let the loop run until nobody moves."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.problems: list[dict[str, object]] = []
        self.loop.set_exception_handler(
            lambda _loop, context: self.problems.append(context)
        )

    @initialize()
    def start(self) -> None:
        """Begin each example with the same budget, and inside of the loop."""
        operation.budget.left = operation.BUDGET
        self.now(self.make)

    def make(self) -> None:
        """Make what is tested."""
        raise NotImplementedError

    def settle(self) -> None:
        """Run the loop until nobody moves."""

        async def idle() -> None:
            for _ in range(12):
                await asyncio.sleep(0)

        self.loop.run_until_complete(idle())

    def now(self, *steps: Callable[[], object]) -> None:
        """Call functions in one turn of the loop, then let everybody move."""

        async def call() -> None:
            for step in steps:
                step()

        self.loop.run_until_complete(call())
        self.settle()

    def act(self, awaitable: Awaitable[object]) -> asyncio.Task[object]:
        """Start a task and let it go as far as it can."""
        task = self.loop.create_task(of(awaitable))
        self.settle()
        return task

    @invariant()
    def nothing_went_wrong_aside(self) -> None:
        """Nothing reached the loop's exception handler."""
        assert not self.problems

    def finish(self) -> None:
        """Check at the end, and give back what is held."""

    def teardown(self) -> None:
        """Finish, and close the loop whatever was found."""
        try:
            self.finish()
        finally:
            self.loop.close()
