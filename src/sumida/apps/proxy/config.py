"""What the proxy is told: plain values, and how they are read from TOML.

Pure: text goes in, a `Config` or a `ConfigError` comes out. The command line makes the
same table that the file holds, so there is one set of rules.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from sumida.apps.proxy._tables import Address, ConfigError, Table

__all__ = (
    "BALANCES",
    "LOGS",
    "PREAMBLES",
    "Address",
    "Config",
    "ConfigError",
    "HealthConfig",
    "ListenerConfig",
    "TlsConfig",
    "UpstreamConfig",
    "parse",
    "parse_text",
)

BALANCES: Final = ("round-robin", "least-connections")
"""How an upstream is picked."""

PREAMBLES: Final = ("off", "v1", "v2")
"""What is said of the client before its own bytes."""

LOGS: Final = ("text", "json", "off")
"""How a line of the log looks."""

_DAY: Final = 86_400.0
_MOST_CONNECTIONS: Final = 1_000_000
_MOST_RETRIES: Final = 100
_MOST_CHECKS: Final = 1000


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamConfig:
    """A server behind the proxy.

    Attributes:
        address: Where it is.
        max_connections: How many it gets at once; 0 for any number.
    """

    address: Address
    max_connections: int = 0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class HealthConfig:
    """When an upstream counts as down, and as up again.

    Attributes:
        interval: Seconds between two checks; 0 for no checks.
        timeout: Seconds a check may take.
        rise: Checks in a row that must go well for it to be up.
        fall: Failures in a row, of checks and clients, for it to be down.
        retry_after: Seconds after which one client tries it, if there are no checks.
    """

    interval: float = 2.0
    timeout: float = 1.0
    rise: int = 2
    fall: int = 3
    retry_after: float = 10.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConfig:
    """The certificate that clients see.

    Attributes:
        certificate: A PEM file, the whole chain.
        key: A PEM file; may be the same.
    """

    certificate: Path
    key: Path


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerConfig:
    """A port, and where its connections go.

    Attributes:
        name: For the log and the metrics.
        listen: Where clients connect.
        upstreams: One or more, each address once.
        balance: One of `BALANCES`.
        max_connections: Clients served at once; more wait in the kernel.
        retries: How often a connect that failed is tried again, elsewhere if it can.
        connect_timeout: Seconds for one connect, and for waiting for a free place.
        idle_timeout: Seconds in which a byte must move; 0 for ever.
        max_lifetime: Seconds a connection may last; 0 for ever.
        send_proxy: One of `PREAMBLES`.
        health: See `HealthConfig`.
        tls: None if clients speak plainly.
    """

    name: str
    listen: Address
    upstreams: tuple[UpstreamConfig, ...]
    balance: str = "round-robin"
    max_connections: int = 10_000
    retries: int = 2
    connect_timeout: float = 5.0
    idle_timeout: float = 300.0
    max_lifetime: float = 0.0
    send_proxy: str = "off"
    health: HealthConfig = HealthConfig()
    tls: TlsConfig | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All of it.

    Attributes:
        listeners: One or more, each name and address once.
        metrics: Where to answer /metrics and /healthz; None for nowhere.
        log: One of `LOGS`.
        drain: Seconds that connections have to end at a stop.
    """

    listeners: tuple[ListenerConfig, ...]
    metrics: Address | None = None
    log: str = "text"
    drain: float = 30.0


def parse_text(text: str, base: Path) -> Config:
    """Read a TOML file's text.

    Args:
        text: What stands in the file.
        base: The folder that relative paths start from.

    Returns:
        The configuration.

    Raises:
        ConfigError: It is no TOML, or a key is not as it must be.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("file", str(error), "TOML", "see docs/proxy.md") from None
    return parse(data, base)


def parse(data: Mapping[str, object], base: Path) -> Config:
    """Read a table as `tomllib` gives it.

    Args:
        data: The table of the whole file.
        base: The folder that relative paths start from.

    Returns:
        The configuration.

    Raises:
        ConfigError: A key is not as it must be.
    """
    top = Table(data, "")
    proxy = top.table("proxy")
    given = top.tables("listener")
    top.finish()
    metrics = proxy.address("metrics") if proxy.has("metrics") else None
    log = proxy.choice("log", "text", LOGS)
    drain = proxy.seconds("drain", 30.0, 3600.0, is_zero_never=True)
    proxy.finish()
    if given is None:
        raise ConfigError(
            "listener", "", "a list of one or more", "add a [[listener]] table"
        )
    listeners = tuple(
        _parse_listener(Table(each, f"listener {number}"), base)
        for number, each in enumerate(given, 1)
    )
    _refuse_twice(listeners)
    return Config(listeners=listeners, metrics=metrics, log=log, drain=drain)


def _refuse_twice(listeners: tuple[ListenerConfig, ...]) -> None:
    names: set[str] = set()
    places: set[Address] = set()
    for number, each in enumerate(listeners, 1):
        where = f"listener {number}"
        if each.name in names:
            raise ConfigError(
                f"{where}, name", each.name, "another than those above", "rename one"
            )
        if each.listen in places:
            raise ConfigError(
                f"{where}, listen",
                str(each.listen),
                "another than those above",
                "put the upstreams into one listener, or take another port",
            )
        names.add(each.name)
        places.add(each.listen)


def _parse_listener(table: Table, base: Path) -> ListenerConfig:
    listen = table.address("listen")
    listener = ListenerConfig(
        listen=listen,
        name=table.text("name", str(listen), "a text of printable letters"),
        upstreams=_parse_upstreams(table),
        balance=table.choice("balance", "round-robin", BALANCES),
        max_connections=table.integer("max_connections", 10_000, 1, _MOST_CONNECTIONS),
        retries=table.integer("retries", 2, 0, _MOST_RETRIES),
        connect_timeout=table.seconds("connect_timeout", 5.0, _DAY),
        idle_timeout=table.seconds("idle_timeout", 300.0, _DAY, is_zero_never=True),
        max_lifetime=table.seconds("max_lifetime", 0.0, 365 * _DAY, is_zero_never=True),
        send_proxy=table.choice("send_proxy", "off", PREAMBLES),
        tls=_parse_tls(table, base),
        health=_parse_health(table.table("health")),
    )
    table.finish()
    return listener


def _parse_upstreams(table: Table) -> tuple[UpstreamConfig, ...]:
    given = table.tables("upstreams")
    if given is None:
        raise table.error(
            "upstreams", "a list of one or more", 'write upstreams = ["host:port"]'
        )
    upstreams: list[UpstreamConfig] = []
    for number, each in enumerate(given, 1):
        key = f"upstreams {number}"
        if isinstance(each, Mapping):
            inner = Table(each, table.path(key))
            upstream = UpstreamConfig(
                address=inner.address("address", can_be_zero=False),
                max_connections=inner.integer(
                    "max_connections", 0, 0, _MOST_CONNECTIONS
                ),
            )
            inner.finish()
        else:
            upstream = UpstreamConfig(
                address=table.parse_address(key, each, can_be_zero=False)
            )
        if any(upstream.address == other.address for other in upstreams):
            raise table.error(
                key, "another than those above", "remove it", str(upstream.address)
            )
        upstreams.append(upstream)
    return tuple(upstreams)


def _parse_health(table: Table) -> HealthConfig:
    interval = table.seconds("interval", 2.0, _DAY, is_zero_never=True)
    health = HealthConfig(
        interval=interval,
        timeout=table.seconds("timeout", 1.0, _DAY),
        rise=table.integer("rise", 2, 1, _MOST_CHECKS),
        fall=table.integer("fall", 3, 1, _MOST_CHECKS),
        retry_after=table.seconds("retry_after", 10.0, _DAY),
    )
    table.finish()
    return health


def _parse_tls(table: Table, base: Path) -> TlsConfig | None:
    if not table.has("tls"):
        return None
    inner = table.table("tls")
    certificate = inner.text("certificate", None, "the path of a PEM file")
    key = inner.text("key", certificate, "the path of a PEM file")
    inner.finish()
    return TlsConfig(certificate=base / certificate, key=base / key)
