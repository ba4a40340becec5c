"""Which upstream a connection goes to, and which of them are well: no I/O, no clock.

The one who asks says what time it is, and what became of each connect and check.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Final, Literal, final

from sumida.apps.proxy.config import Address, HealthConfig, UpstreamConfig

__all__ = ("Balancer", "Upstream")

_FULL: Final = "full"


@final
class Upstream:
    """A server, and what is known of it.

    It lives as long as its address is in the configuration, across reloads; its
    connections know it even longer.

    Args:
        config: As it is now.

    Attributes:
        config: As above.
        active: Connections it has, or is being asked for.
        is_healthy: Whether it is up.
        failures: Connects and checks that failed in a row.
        successes: Checks that went well in a row, while it was down.
        retry_at: When one client may try it though it is down; None for not.
    """

    __slots__ = (
        "active",
        "config",
        "failures",
        "is_healthy",
        "retry_at",
        "successes",
    )

    def __init__(self, config: UpstreamConfig) -> None:
        self.config = config
        self.active = 0
        # Until the opposite is known: a proxy that starts must serve at once.
        self.is_healthy = True
        self.failures = 0
        self.successes = 0
        self.retry_at: float | None = None

    def __repr__(self) -> str:
        state = "up" if self.is_healthy else "down"
        return f"<Upstream {self.address} {state}, {self.active} connections>"

    @property
    def address(self) -> Address:
        """Where it is."""
        return self.config.address

    @property
    def has_room(self) -> bool:
        """Whether it may have one more connection."""
        limit = self.config.max_connections
        return not limit or self.active < limit


@final
class Balancer:
    """The upstreams of a listener.

    Args:
        upstreams: One or more.
        balance: "round-robin" or "least-connections".
        health: When one is down, and up again.
        on_change: Told of an upstream that went down or came up.

    Attributes:
        upstreams: As they are now.
    """

    __slots__ = ("_balance", "_health", "_last", "_on_change", "upstreams")

    def __init__(
        self,
        upstreams: Sequence[UpstreamConfig],
        balance: str,
        health: HealthConfig,
        on_change: Callable[[Upstream], object] = lambda _upstream: None,
    ) -> None:
        self._balance = balance
        self._health = health
        self._on_change = on_change
        # Before the first.
        self._last = -1
        self.upstreams: tuple[Upstream, ...] = tuple(map(Upstream, upstreams))

    def __repr__(self) -> str:
        return f"<Balancer {self._balance} of {self.upstreams!r}>"

    @property
    def has_healthy(self) -> bool:
        """Whether one is up."""
        return any(each.is_healthy for each in self.upstreams)

    def update(
        self, upstreams: Sequence[UpstreamConfig], balance: str, health: HealthConfig
    ) -> None:
        """Take another configuration; who stays keeps its health and its connections.

        Args:
            upstreams: As in the class.
            balance: As in the class.
            health: As in the class.
        """
        known = {each.address: each for each in self.upstreams}
        kept: list[Upstream] = []
        for config in upstreams:
            upstream = known.get(config.address)
            if upstream is None:
                upstream = Upstream(config)
            upstream.config = config
            if health.interval:
                # From now on the checks find out.
                upstream.retry_at = None
            kept.append(upstream)
        self.upstreams = tuple(kept)
        self._balance = balance
        self._health = health
        self._last %= len(kept)

    def pick(
        self, now: float, tried: Collection[Address] = ()
    ) -> Upstream | Literal["full"] | None:
        """Choose an upstream and count a connection for it; `release` gives it back.

        One that is down is chosen only if none is up, or to see whether it is up
        again when nothing checks it.

        Args:
            now: The time, in seconds of any clock, always the same one.
            tried: Where it went wrong already for this client.

        Returns:
            The upstream; "full" if those that could take it are at their limit; None
            if all were tried.
        """
        count = len(self.upstreams)
        # In turn, from the one after the last.
        turn = [self.upstreams[(self._last + 1 + n) % count] for n in range(count)]
        untried = [each for each in turn if each.address not in tried]
        if not untried:
            return None
        probe = self._due(untried, now)
        if probe is not None:
            return self._take(probe)
        best = [each for each in untried if each.is_healthy] or untried
        free = [each for each in best if each.has_room]
        if not free:
            return _FULL
        if self._balance == "least-connections":
            # `min` takes the first of equals, which are in turn.
            return self._take(min(free, key=lambda each: each.active))
        return self._take(free[0])

    def _due(self, untried: Sequence[Upstream], now: float) -> Upstream | None:
        """Find one that was left alone long enough to be asked again."""
        for each in untried:
            if each.retry_at is not None and now >= each.retry_at and each.has_room:
                # One client at a time.
                each.retry_at = now + self._health.retry_after
                return each
        return None

    def _take(self, upstream: Upstream) -> Upstream:
        upstream.active += 1
        self._last = self.upstreams.index(upstream)
        return upstream

    def release(self, upstream: Upstream) -> None:
        """Take back a connection that `pick` counted.

        Args:
            upstream: What `pick` gave, also if it is no longer configured.
        """
        assert upstream.active > 0
        upstream.active -= 1

    def succeeded(self, upstream: Upstream, *, is_check: bool = False) -> None:
        """Learn that a connect went well.

        A client's own connect brings an upstream up only where nothing checks it.

        Args:
            upstream: To which.
            is_check: Whether it was a check's.
        """
        upstream.failures = 0
        if upstream.is_healthy or not (is_check or self._is_unchecked):
            return
        upstream.successes += 1
        if upstream.successes >= self._health.rise or not is_check:
            self._set(upstream, is_healthy=True)

    def failed(self, upstream: Upstream, now: float) -> None:
        """Learn that a connect, of a client or a check, failed.

        Args:
            upstream: To which.
            now: The time, as in `pick`.
        """
        upstream.successes = 0
        upstream.failures += 1
        if upstream.failures < self._health.fall:
            return
        if self._is_unchecked:
            upstream.retry_at = now + self._health.retry_after
        if upstream.is_healthy:
            self._set(upstream, is_healthy=False)

    @property
    def _is_unchecked(self) -> bool:
        return not self._health.interval

    def _set(self, upstream: Upstream, *, is_healthy: bool) -> None:
        upstream.is_healthy = is_healthy
        upstream.successes = 0
        if is_healthy:
            upstream.retry_at = None
        self._on_change(upstream)
