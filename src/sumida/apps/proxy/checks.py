"""Ask each upstream, again and again, whether it takes connections."""

import time
from collections.abc import Callable
from typing import final

from sumida import JoinSet, select, sleep
from sumida.apps.proxy import preamble
from sumida.apps.proxy.balancer import Balancer, Upstream
from sumida.apps.proxy.config import ListenerConfig
from sumida.net import TcpStream
from sumida.sync import Notify

__all__ = ("Checks",)


@final
class Checks:
    """The checks of one listener.

    Args:
        balancer: Told of what is found.
        config: Gives the configuration as it is now.
    """

    __slots__ = ("_balancer", "_changed", "_config")

    def __init__(
        self, balancer: Balancer, config: Callable[[], ListenerConfig]
    ) -> None:
        self._balancer = balancer
        self._config = config
        self._changed = Notify()

    def __repr__(self) -> str:
        return f"<Checks of {self._balancer!r}>"

    def update(self) -> None:
        """Look at the configuration anew, and check at once."""
        self._changed.notify_one()

    async def run(self) -> None:
        """Check, for ever; without an interval only wait for one.

        Cancel safety:
            Safe.
        """
        while True:
            interval = self._config().health.interval
            if interval:
                await self.check_all()
                await select(self._changed.notified(), sleep(interval))
            else:
                await self._changed.notified()

    async def check_all(self) -> None:
        """Check each upstream once, all at the same time.

        Cancel safety:
            Safe: no connection is left.
        """
        async with JoinSet[None]() as tasks:
            for upstream in self._balancer.upstreams:
                tasks.spawn(self._check(upstream), name=f"check {upstream.address}")

    async def _check(self, upstream: Upstream) -> None:
        config = self._config()
        address = upstream.address
        try:
            stream = await TcpStream.connect(
                address.host, address.port, connect_timeout=config.health.timeout
            )
            async with stream:
                hello = preamble.encode_local(config.send_proxy)
                if hello:
                    await stream.write_all(hello)
        except OSError:
            # Refused, late, or gone before anything could be said.
            self._balancer.failed(upstream, time.monotonic())
        else:
            self._balancer.succeeded(upstream, is_check=True)
