"""A pool against a simple model: random uses, cancels, failures and closes.

Whatever the order: never more than `max_size` connections are open, none has two users,
none is used again after its user raised or was cancelled, who waits is served in order,
and in the end all are closed.
"""

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from sumida.errors import Closed
from sumida.net import Pool
from tests.core.machine import SETTINGS, Machine
from tests.net.wires import Maker, Wire

MOST = 3


class Failed(Exception):
    """What a user raises."""


@dataclass(eq=False)
class User:
    """One who wants a connection, and then has it until told to leave.

    Attributes:
        leave: How it leaves, set by a rule.
        wire: What it has.
        task: Its task.
    """

    leave: asyncio.Future[None]
    wire: Wire | None = None
    task: asyncio.Task[None] | None = None


class PoolMachine(Machine):
    """The pool, those who use it, and those who wait for it."""

    max_lifetime: float | None = None
    min_idle = 0

    def make(self) -> None:
        """Make the pool."""
        self.maker = Maker(waits=True)
        self.users: list[User] = []
        self.order: list[User] = []
        self.spoiled: set[Wire] = set()
        self.bad: set[Wire] = set()
        self.is_closed = False
        self.pool = Pool(
            self.maker,
            max_size=MOST,
            min_idle=self.min_idle,
            idle_timeout=None,
            acquire_timeout=None,
            check=self.check,
        )

    def check(self, wire: Wire) -> bool:
        """Tell whether a connection was not broken by a rule."""
        assert not wire.is_closed
        return wire not in self.bad

    async def use(self, user: User) -> None:
        """Have a connection until told to leave."""
        async with self.pool.acquire() as wire:
            assert wire.user is None
            assert not wire.is_closed
            assert wire not in self.spoiled
            assert wire not in self.bad
            wire.user = user
            user.wire = wire
            self.order.append(user)
            try:
                await user.leave
            except BaseException:
                self.spoiled.add(wire)
                raise
            finally:
                user.wire = wire.user = None

    def start_user(self) -> None:
        """Let one more come."""
        user = User(self.loop.create_future())
        user.task = self.loop.create_task(self.use(user))
        self.users.append(user)

    @property
    def holding(self) -> list[User]:
        """Those who have one."""
        return [user for user in self.users if user.wire is not None]

    @rule(count=st.integers(1, 3))
    def come(self, count: int) -> None:
        """Let some come in one turn."""
        self.now(*[self.start_user] * count)

    @precondition(lambda self: self.maker.gates)
    @rule(fails=st.lists(st.booleans(), min_size=1, max_size=2))
    def connect(self, fails: list[bool]) -> None:
        """Let connections come, or fail, in one turn."""
        steps = [self.maker.fail if failed else self.maker.let for failed in fails]
        self.now(*steps[: len(self.maker.gates)])

    @precondition(lambda self: self.holding)
    @rule(data=st.data(), raises=st.booleans(), comes=st.booleans())
    def leave(self, data: st.DataObject, *, raises: bool, comes: bool) -> None:
        """Let one leave, well or not; another may come in that very turn."""
        user = data.draw(st.sampled_from(self.holding))

        def go() -> None:
            if raises:
                user.leave.set_exception(Failed())
            else:
                user.leave.set_result(None)

        self.now(go, *[self.start_user] * comes)

    @precondition(lambda self: self.users)
    @rule(data=st.data(), late=st.integers(0, 2))
    def cancel(self, data: st.DataObject, late: int) -> None:
        """Cancel somebody, so many turns after another has left or a wire has come."""
        user = data.draw(st.sampled_from(self.users))
        others = [other for other in self.holding if other is not user]
        other = data.draw(st.sampled_from([None, *others]))
        lets = bool(self.maker.gates) and data.draw(st.booleans())

        async def act() -> None:
            if other is not None:
                other.leave.set_result(None)
            if lets:
                self.maker.let()
            for _ in range(late):
                await asyncio.sleep(0)
            if user.task is not None:
                user.task.cancel()

        self.loop.run_until_complete(act())
        self.settle()

    @precondition(lambda self: self.pool.status.idle)
    @rule()
    def break_idle(self) -> None:
        """Break all idle connections, as a server that restarts does."""
        self.bad |= {wire for wire in self.maker.open if wire.user is None}

    @precondition(lambda self: len(self.users) > 4 and not self.is_closed)
    @rule(turns=st.integers(0, 3), comes=st.booleans())
    def close(self, turns: int, *, comes: bool) -> None:
        """Close the pool, perhaps in the midst of things, once in a long run."""
        self.is_closed = True

        async def act() -> None:
            if comes:
                self.start_user()
            for _ in range(turns):
                await asyncio.sleep(0)
            await self.pool.close()

        self.loop.run_until_complete(act())
        self.settle()

    @invariant()
    def all_is_well(self) -> None:
        """Look at everything."""
        if hasattr(self, "pool"):
            self.users_end_as_they_should()
            self.no_place_is_lost_or_doubled()
            self.nobody_is_passed()

    def users_end_as_they_should(self) -> None:
        """By what they did, by a failure to connect, or by the end of the pool."""
        for user in list(self.users):
            task = user.task
            if task is None or not task.done():
                continue
            self.users.remove(user)
            if task.cancelled():
                continue
            error = task.exception()
            assert error is None or isinstance(
                error, Failed | ConnectionRefusedError | Closed
            ), error
            if isinstance(error, Closed):
                assert self.is_closed

    def no_place_is_lost_or_doubled(self) -> None:
        """What is open is idle or in use, and who waits waits for a reason."""
        status = self.pool.status
        assert self.maker.most <= MOST
        assert status.leased == len(self.holding)
        assert status.idle + status.leased == len(self.maker.open)
        assert status.making == len(self.maker.gates)
        waiting = [user for user in self.users if user.wire is None]
        assert status.waiting == len(waiting)
        assert not self.spoiled & self.maker.open
        if waiting:
            assert not self.is_closed
            assert status.leased == MOST or status.making
            assert status.idle == 0
        if self.is_closed:
            assert status.idle == status.making == 0

    def nobody_is_passed(self) -> None:
        """Who came first and is still there was served first."""
        served = [user.wire is not None for user in self.users]
        assert served == sorted(served, reverse=True)

    def finish(self) -> None:
        """Let all leave, and find all closed."""
        for user in self.users:
            if user.task is not None:
                user.task.cancel()
        self.settle()
        self.loop.run_until_complete(self.pool.close())
        assert not self.maker.open
        assert not self.maker.gates
        assert self.pool.status.leased == self.pool.status.waiting == 0


class FilledPoolMachine(PoolMachine):
    """The same with connections that are made ahead."""

    min_idle = 2


class CheckedPoolMachine(PoolMachine):
    """The same with a check that takes a wait."""

    def make(self) -> None:
        """Make the pool."""
        super().make()
        plain = self.check

        async def check(wire: Wire) -> bool:
            await asyncio.sleep(0)
            return plain(wire)

        self.pool = Pool(
            self.maker,
            max_size=MOST,
            idle_timeout=None,
            acquire_timeout=None,
            check=check,
        )


FEWER = settings(SETTINGS, max_examples=60)

TestPool = pytest.mark.slow(PoolMachine.TestCase)
TestPool.settings = SETTINGS
TestFilledPool = pytest.mark.slow(FilledPoolMachine.TestCase)
TestFilledPool.settings = FEWER
TestCheckedPool = pytest.mark.slow(CheckedPoolMachine.TestCase)
TestCheckedPool.settings = FEWER
