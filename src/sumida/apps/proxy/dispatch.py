"""Give each connection of a listener its upstream, or let it wait for a place."""

import time
from collections.abc import Callable, Collection
from typing import final

from sumida import timeout
from sumida.apps.proxy.balancer import Balancer, Upstream
from sumida.apps.proxy.config import Address, ListenerConfig
from sumida.sync import Notify

__all__ = ("Dispatcher",)


@final
class Dispatcher:
    """The upstreams of a listener, and the line of those who wait for one.

    Who waits takes any place, so that one place that is free wakes one, and none is
    woken in vain.

    Args:
        config: Of the listener.
        on_change: As in `Balancer`.

    Attributes:
        balancer: What decides.
    """

    __slots__ = ("_freed", "_waiting", "balancer")

    def __init__(
        self, config: ListenerConfig, on_change: Callable[[Upstream], object]
    ) -> None:
        def changed(upstream: Upstream) -> None:
            on_change(upstream)
            # One that is up may have room for many.
            self._freed.notify_one()

        self.balancer = Balancer(
            config.upstreams, config.balance, config.health, changed
        )
        self._freed = Notify()
        self._waiting = 0

    def __repr__(self) -> str:
        return f"<Dispatcher {self._waiting} waiting, {self.balancer!r}>"

    @property
    def waiting(self) -> int:
        """How many connections wait for a place."""
        return self._waiting

    def update(self, config: ListenerConfig) -> None:
        """Take another configuration.

        Args:
            config: Of the same listener.
        """
        self.balancer.update(config.upstreams, config.balance, config.health)
        self._freed.notify_one()

    async def take(self, tried: Collection[Address], seconds: float) -> Upstream | None:
        """Take a place at an upstream; `release` gives it back.

        Args:
            tried: Where it went wrong already for this client.
            seconds: How long to wait, if all are at their limit.

        Returns:
            The upstream; None if all were tried.

        Raises:
            Elapsed: No place was free in time.

        Cancel safety:
            Safe: a cancelled call has taken none.
        """
        if not self._waiting:
            chosen = self.balancer.pick(time.monotonic(), tried)
            if not isinstance(chosen, str):
                return chosen
        self._waiting += 1
        try:
            async with timeout(seconds):
                while True:
                    await self._freed.notified()
                    chosen = self.balancer.pick(time.monotonic())
                    if isinstance(chosen, Upstream):
                        return chosen
        finally:
            self._waiting -= 1
            if self._waiting:
                # Where there was room for one there may be room for two.
                self._freed.notify_one()

    def release(self, upstream: Upstream) -> None:
        """Give a place back.

        Args:
            upstream: What `take` gave.
        """
        self.balancer.release(upstream)
        if self._waiting:
            self._freed.notify_one()
