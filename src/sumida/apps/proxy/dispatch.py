"""Give each connection of a listener its upstream, or let it wait for a place."""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import final

from sumida import timeout
from sumida.apps.proxy.balancer import Balancer, Upstream
from sumida.apps.proxy.config import Address, ListenerConfig
from sumida.channels import oneshot
from sumida.errors import Closed, Empty

__all__ = ("Dispatcher",)


@final
class Dispatcher:
    """The upstreams of a listener, and the line of those who wait for one.

    A place that is free is given to the first in the line, who takes any: nobody is
    woken in vain, and nobody comes in between.

    Args:
        config: Of the listener.
        on_change: As in `Balancer`.

    Attributes:
        balancer: What decides.
    """

    __slots__ = ("_line", "_on_change", "balancer")

    def __init__(
        self, config: ListenerConfig, on_change: Callable[[Upstream], object]
    ) -> None:
        self._line: OrderedDict[
            oneshot.Sender[Upstream], oneshot.Receiver[Upstream]
        ] = OrderedDict()
        self._on_change = on_change
        self.balancer = Balancer(
            config.upstreams, config.balance, config.health, self._changed
        )

    def __repr__(self) -> str:
        return f"<Dispatcher {self.waiting} waiting, {self.balancer!r}>"

    @property
    def waiting(self) -> int:
        """How many connections wait for a place."""
        return len(self._line)

    def update(self, config: ListenerConfig) -> None:
        """Take another configuration.

        Args:
            config: Of the same listener.
        """
        self.balancer.update(config.upstreams, config.balance, config.health)
        self._serve()

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
        if not self._line:
            chosen = self.balancer.pick(time.monotonic(), tried)
            if not isinstance(chosen, str):
                return chosen
        given: oneshot.Sender[Upstream]
        place: oneshot.Receiver[Upstream]
        given, place = oneshot.channel()
        self._line[given] = place
        try:
            async with timeout(seconds):
                return await place
        except BaseException:
            self._leave(given, place)
            raise

    def _leave(
        self, given: oneshot.Sender[Upstream], place: oneshot.Receiver[Upstream]
    ) -> None:
        """Leave the line; a place that was given meanwhile is the next one's."""
        self._line.pop(given, None)
        given.close()
        try:
            self.release(place.try_recv())
        except (Empty, Closed):
            return

    def release(self, upstream: Upstream) -> None:
        """Give a place back.

        Args:
            upstream: What `take` gave.
        """
        self.balancer.release(upstream)
        self._serve()

    def _serve(self) -> None:
        """Give what is free to those who wait."""
        while self._line:
            chosen = self.balancer.pick(time.monotonic())
            if not isinstance(chosen, Upstream):
                return
            given, _ = self._line.popitem(last=False)
            given.send(chosen)

    def _changed(self, upstream: Upstream) -> None:
        self._on_change(upstream)
        self._serve()
