"""What Prometheus reads."""

from prometheus_client.parser import text_string_to_metric_families

from sumida.apps.proxy.metrics import BOUNDS, Gauges, Metrics, render


def samples(metrics: Metrics, *gauges: Gauges) -> dict[tuple[object, ...], float]:
    """Write and read back: by name, and the values of the labels."""
    text, kind = render(metrics, lambda: gauges, 7)
    assert kind.startswith("text/plain")
    families = text_string_to_metric_families(text.decode())
    return {
        (sample.name.removeprefix("sumida_proxy_"), *sorted(sample.labels.values())): (
            sample.value
        )
        for family in families
        for sample in family.samples
    }


def test_what_was_counted_is_written() -> None:
    """As a reader of the format finds it."""
    metrics = Metrics()
    metrics.connections["web", "a:1", "done"] += 3
    metrics.sent["web", "a:1"] += 10
    metrics.received["web", "a:1"] += 20
    metrics.failures["web", "a:1"] += 2
    metrics.retries["web"] += 1
    metrics.reloads["refused"] += 1

    found = samples(
        metrics,
        Gauges("web", "a:1", 5, is_healthy=True),
        Gauges('w"\\\n', "b:2", 0, is_healthy=False),
    )

    assert found["connections_total", "a:1", "done", "web"] == 3
    assert found["bytes_total", "a:1", "sent", "web"] == 10
    assert found["bytes_total", "a:1", "received", "web"] == 20
    assert found["connect_failures_total", "a:1", "web"] == 2
    assert found["retries_total", "web"] == 1
    assert found["reloads_total", "refused"] == 1
    assert found["active_connections", "a:1", "web"] == 5
    assert found["upstream_up", "a:1", "web"] == 1
    assert found["upstream_up", "b:2", 'w"\\\n'] == 0
    assert found[("log_dropped_total",)] == 7


def test_connect_times_are_a_histogram() -> None:
    """Each bucket holds what was as quick, or quicker."""
    metrics = Metrics()
    for seconds in (0.0005, 0.001, 0.3, 99.0):
        metrics.connected("web", seconds)

    found = samples(metrics)

    assert found["connect_seconds_bucket", "0.001", "web"] == 2
    assert found["connect_seconds_bucket", "0.25", "web"] == 2
    assert found["connect_seconds_bucket", "0.5", "web"] == 3
    assert found["connect_seconds_bucket", "+Inf", "web"] == 4
    assert found["connect_seconds_count", "web"] == 4
    assert abs(found["connect_seconds_sum", "web"] - 99.3015) < 1e-6
    assert list(BOUNDS) == sorted(BOUNDS)
