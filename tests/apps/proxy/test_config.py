"""What may stand in the file, and what is said of anything else."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumida.apps.proxy.config import (
    Address,
    ConfigError,
    HealthConfig,
    TlsConfig,
    UpstreamConfig,
    parse,
    parse_text,
)

HERE = Path("/etc/proxy")
LEAST = '[[listener]]\nlisten = ":80"\nupstreams = ["a:1"]\n'
FULL = """
[proxy]
metrics = "127.0.0.1:9100"
log = "json"
drain = 0

[[listener]]
name = "web"
listen = "[::1]:8443"
upstreams = ["10.0.0.1:80", { address = "[fe80::1]:81", max_connections = 7 }]
balance = "least-connections"
max_connections = 50
retries = 0
connect_timeout = 0.5
idle_timeout = 0
max_lifetime = 3600
send_proxy = "v2"
tls = { certificate = "web.pem", key = "/keys/web.key" }
health = { interval = 0, timeout = 2, rise = 1, fall = 1, retry_after = 3 }

[[listener]]
listen = "127.0.0.1:0"
upstreams = ["localhost:9000"]
"""


def test_every_key_is_read() -> None:
    """And paths start from the folder of the file."""
    config = parse_text(FULL, HERE)
    web, other = config.listeners

    assert config.metrics == Address("127.0.0.1", 9100)
    assert (config.log, config.drain) == ("json", 0.0)
    assert web.name == "web"
    assert web.listen == Address("::1", 8443)
    assert web.upstreams == (
        UpstreamConfig(address=Address("10.0.0.1", 80)),
        UpstreamConfig(address=Address("fe80::1", 81), max_connections=7),
    )
    assert (web.balance, web.send_proxy) == ("least-connections", "v2")
    assert (web.max_connections, web.retries) == (50, 0)
    assert (web.connect_timeout, web.idle_timeout, web.max_lifetime) == (0.5, 0, 3600)
    assert web.tls == TlsConfig(certificate=HERE / "web.pem", key=Path("/keys/web.key"))
    assert web.health == HealthConfig(
        interval=0, timeout=2, rise=1, fall=1, retry_after=3
    )
    assert other.name == "127.0.0.1:0"
    assert other.tls is None


def test_what_is_left_out_has_a_default() -> None:
    """A listener needs an address and an upstream, and nothing else."""
    config = parse_text(LEAST, HERE)

    (listener,) = config.listeners
    assert listener.listen == Address("", 80)
    assert listener.health == HealthConfig()
    assert listener.balance == "round-robin"
    assert config.log == "text"
    assert config.metrics is None


@pytest.mark.parametrize(
    ("text", "key", "limit", "way_out"),
    [
        ("x = ", "file", "TOML", "docs/proxy.md"),
        ("x = 1", "x", "known keys (listener, proxy)", "remove it"),
        ("proxy = 1", "proxy", "a table", "docs/proxy.md"),
        ("[proxy]", "listener", "one or more", "[[listener]]"),
        ("listener = []", "listener", "one or more", "add one"),
        ("listener = [1]", "listener 1", "a table", "docs/proxy.md"),
        ("listener = 3", "listener", "one or more", "add one"),
        ("[[listener]]", "listener 1, listen", '":port"', "127.0.0.1:8080"),
        (
            '[[listener]]\nlisten = ":80"',
            "listener 1, upstreams",
            "a list of one or more",
            'upstreams = ["host:port"]',
        ),
        (LEAST + "retries = -3", "listener 1, retries", "0 to 100", "leave it out"),
        (LEAST + "retries = true", "listener 1, retries", "0 to 100", "for 2"),
        (LEAST + "retries = 1.5", "listener 1, retries", "a whole number", "for 2"),
        (
            LEAST + "max_connections = 0",
            "listener 1, max_connections",
            "1 to 1000000",
            "for 10000",
        ),
        (
            LEAST + "connect_timeout = 0",
            "listener 1, connect_timeout",
            "more than 0 and at most 86400 seconds",
            "for 5",
        ),
        (LEAST + "idle_timeout = -1", "listener 1, idle_timeout", "0 (never)", "300"),
        (LEAST + "idle_timeout = nan", "listener 1, idle_timeout", "0 (never)", "300"),
        (LEAST + 'idle_timeout = "5s"', "listener 1, idle_timeout", "seconds", "300"),
        (LEAST + "idle_timeuot = 5", "idle_timeuot", "known", '"idle_timeout"'),
        (
            LEAST + 'balance = "random"',
            "listener 1, balance",
            '"round-robin" or "least-connections"',
            "leave it out for round-robin",
        ),
        (LEAST + 'send_proxy = "v3"', "listener 1, send_proxy", '"v2"', "for off"),
        (LEAST + 'name = ""', "listener 1, name", "printable", "leave it out"),
        (LEAST + "tls = {}", "tls, certificate", "a PEM file", "not be left out"),
        (LEAST + "tls = 1", "listener 1, tls", "a table", "docs"),
        (LEAST + "health = { fall = 0 }", "health, fall", "1 to 1000", "for 3"),
        (LEAST + "health = { rise = 1, up = 2 }", "health, up", "known", "remove it"),
        (LEAST + LEAST, "listener 2, name", "another", "rename one"),
        (
            LEAST + LEAST + 'name = "x"',
            "listener 2, listen",
            "another than those above",
            "one listener",
        ),
        ("[proxy]\nlog = 'xml'\n" + LEAST, "proxy, log", '"json"', "for text"),
        ("[proxy]\ndrain = 1e9\n" + LEAST, "proxy, drain", "3600", "for 30"),
        ("[proxy]\nmetrics = 9100\n" + LEAST, "proxy, metrics", '"host:port"', "["),
    ],
)
def test_a_mistake_is_told_with_key_limit_and_way_out(
    text: str, key: str, limit: str, way_out: str
) -> None:
    """So that it can be mended without a look at the manual."""
    with pytest.raises(ConfigError) as caught:
        parse_text(text, HERE)

    error = caught.value
    assert error.key.endswith(key)
    assert limit in error.limit
    assert way_out in error.way_out
    assert str(error).startswith(f"{error.key} = ")
    assert f": must be {error.limit}; {error.way_out}" in str(error)


@pytest.mark.parametrize(
    "upstream",
    [
        '"a"',
        '"a:0"',
        '":80"',
        '"a:b"',
        '"a:70000"',
        '"a:-1"',
        '"::1:80"',
        '"[::1]"',
        '"http://a:80"',
        '"a b:80"',
        '"a:٣"',
        "80",
        "{ address = 1 }",
        "{}",
        '{ address = "a:1", max_connections = -1 }',
        '{ address = "a:1", weight = 2 }',
    ],
)
def test_an_upstream_is_host_and_port(upstream: str) -> None:
    """And what else stands there is named by its place in the list."""
    text = f'[[listener]]\nlisten = ":80"\nupstreams = ["b:2", {upstream}]'

    with pytest.raises(ConfigError) as caught:
        parse_text(text, HERE)

    assert caught.value.key.startswith("listener 1, upstreams 2")


def test_an_upstream_stands_there_once() -> None:
    """Twice would be a weight, and there are none."""
    text = '[[listener]]\nlisten = ":80"\nupstreams = ["b:2", "c:3", "b:2"]'

    with pytest.raises(ConfigError, match=r'upstreams 3 = "b:2": must be another'):
        parse_text(text, HERE)


def test_a_long_value_is_shortened() -> None:
    """The message is one line that can be read."""
    with pytest.raises(ConfigError) as caught:
        parse_text(LEAST + f'balance = "{"x" * 500}"', HERE)

    assert len(str(caught.value)) < 250


@given(st.ip_addresses(), st.integers(0, 65535))
@settings(deadline=None)
def test_an_address_that_was_written_can_be_read(host: object, port: int) -> None:
    """IPv6 stands in brackets."""
    address = Address(str(host), port)

    assert Address.parse(str(address)) == address


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["address", "fall", "rise", "x"]), inner)
    ),
    max_leaves=4,
)
KEYS = st.sampled_from(
    [
        "name",
        "listen",
        "upstreams",
        "balance",
        "max_connections",
        "retries",
        "connect_timeout",
        "idle_timeout",
        "max_lifetime",
        "send_proxy",
        "tls",
        "health",
        "surprise",
    ]
)


@given(st.dictionaries(KEYS, JUNK))
@settings(deadline=None)
def test_junk_is_a_config_error_and_nothing_else(junk: dict[str, object]) -> None:
    """Whatever stands in a table, nobody sees a traceback."""
    listener = {"listen": ":1", "upstreams": ["a:1"], **junk}

    known = junk.keys() - {"surprise"}
    try:
        config = parse({"listener": [listener]}, HERE)
    except ConfigError as error:
        told = str(error)
    else:
        told = "listener 1 must be good" if junk.keys() == known else ""
        assert config.listeners[0].upstreams

    assert told.startswith("listener 1")
    assert "must be" in told
