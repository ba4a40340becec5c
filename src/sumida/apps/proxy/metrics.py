"""What the proxy counts, and how Prometheus reads it.

Counting is plain integers. `prometheus-client`, the extra `metrics`, is only needed to
write them out, and is only imported then.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, NamedTuple, final

from sumida.apps.proxy.config import Address, ConfigError

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ("BOUNDS", "Gauges", "Metrics", "check_extra", "render")

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the histogram of connect times, in seconds."""

_PAIR: Final = ("listener", "upstream")


class Gauges(NamedTuple):
    """The state of one upstream at this moment.

    Attributes:
        listener: The name of its listener.
        upstream: Its address.
        active: Its connections.
        is_healthy: Whether it is up.
    """

    listener: str
    upstream: str
    active: int
    is_healthy: bool


@final
class Metrics:
    """Counters; whoever does a thing counts it.

    Attributes:
        connections: That have ended, by listener, upstream ("" if none) and outcome.
        sent: Bytes from clients, by listener and upstream.
        received: Bytes to clients, likewise.
        failures: Connects that failed, by listener and upstream.
        retries: Connects that were tried again, by listener.
        connects: How many connects took how long, by listener: one number for each
            of `BOUNDS`, and one for what took longer.
        connect_seconds: How long all of them took, by listener.
        reloads: By result.
    """

    __slots__ = (
        "connect_seconds",
        "connections",
        "connects",
        "failures",
        "received",
        "reloads",
        "retries",
        "sent",
    )

    def __init__(self) -> None:
        self.connections: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self.sent: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.received: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.failures: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.retries: defaultdict[str, int] = defaultdict(int)
        self.connects: dict[str, list[int]] = {}
        self.connect_seconds: defaultdict[str, float] = defaultdict(float)
        self.reloads: defaultdict[str, int] = defaultdict(int)

    def connected(self, listener: str, seconds: float) -> None:
        """Count a connect that went well.

        Args:
            listener: The name of the listener.
            seconds: How long it took.
        """
        counts = self.connects.get(listener)
        if counts is None:
            counts = self.connects[listener] = [0] * (len(BOUNDS) + 1)
        counts[bisect_left(BOUNDS, seconds)] += 1
        self.connect_seconds[listener] += seconds


def check_extra(address: Address) -> None:
    """Refuse a metrics port where nothing can fill it.

    Args:
        address: Where it is wanted.

    Raises:
        ConfigError: `prometheus-client` is not installed.
    """
    if find_spec("prometheus_client") is None:
        raise ConfigError(
            "proxy, metrics",
            str(address),
            "left out while prometheus-client is not installed",
            "run: pip install 'sumida[metrics]', or remove the key",
        )


def render(
    metrics: Metrics, gauges: Callable[[], Iterable[Gauges]], dropped: int
) -> tuple[bytes, str]:
    """Write all of it in Prometheus' text form.

    Args:
        metrics: The counters.
        gauges: Tells the state of each upstream.
        dropped: Lines of the log that were lost.

    Returns:
        The text, and its content type.
    """
    from prometheus_client import (  # noqa: PLC0415  # an extra
        CONTENT_TYPE_LATEST,
        CollectorRegistry,
        generate_latest,
    )
    from prometheus_client.registry import Collector  # noqa: PLC0415  # an extra

    class Collected(Collector):
        def collect(self) -> Iterator["Metric"]:
            yield from _counters(metrics, dropped)
            yield _connect_times(metrics)
            yield from _states(gauges())

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collected())
    return generate_latest(registry), CONTENT_TYPE_LATEST


def _counters(metrics: Metrics, dropped: int) -> Iterator["Metric"]:
    from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415  # an extra

    ended = CounterMetricFamily(
        "sumida_proxy_connections",
        "Connections that have ended.",
        labels=(*_PAIR, "outcome"),
    )
    for names, count in metrics.connections.items():
        ended.add_metric(names, count)
    yield ended
    carried = CounterMetricFamily(
        "sumida_proxy_bytes",
        "Bytes of connections that have ended, from clients and to them.",
        labels=(*_PAIR, "direction"),
    )
    for direction, table in (("sent", metrics.sent), ("received", metrics.received)):
        for pair, count in table.items():
            carried.add_metric((*pair, direction), count)
    yield carried
    failed = CounterMetricFamily(
        "sumida_proxy_connect_failures", "Connects that failed.", labels=_PAIR
    )
    for pair, count in metrics.failures.items():
        failed.add_metric(pair, count)
    yield failed
    retried = CounterMetricFamily(
        "sumida_proxy_retries", "Connects tried again.", labels=("listener",)
    )
    for listener, count in metrics.retries.items():
        retried.add_metric((listener,), count)
    yield retried
    reloads = CounterMetricFamily(
        "sumida_proxy_reloads", "Reloads of the configuration.", labels=("result",)
    )
    for result, count in metrics.reloads.items():
        reloads.add_metric((result,), count)
    yield reloads
    lines = CounterMetricFamily("sumida_proxy_log_dropped", "Lines of the log lost.")
    lines.add_metric((), dropped)
    yield lines


def _connect_times(metrics: Metrics) -> "Metric":
    from prometheus_client.core import (  # noqa: PLC0415  # an extra
        HistogramMetricFamily,
    )

    times = HistogramMetricFamily(
        "sumida_proxy_connect_seconds",
        "How long connects to upstreams took.",
        labels=("listener",),
    )
    for listener, counts in metrics.connects.items():
        buckets: list[tuple[str, float]] = []
        total = 0
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), counts, strict=True):
            total += count
            buckets.append((bound, total))
        times.add_metric((listener,), buckets, metrics.connect_seconds[listener])
    return times


def _states(gauges: Iterable[Gauges]) -> Iterator["Metric"]:
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415  # an extra

    active = GaugeMetricFamily(
        "sumida_proxy_active_connections", "Connections now.", labels=_PAIR
    )
    up = GaugeMetricFamily(
        "sumida_proxy_upstream_up", "Whether an upstream is up.", labels=_PAIR
    )
    for each in gauges:
        pair = (each.listener, each.upstream)
        active.add_metric(pair, each.active)
        up.add_metric(pair, int(each.is_healthy))
    yield active
    yield up
