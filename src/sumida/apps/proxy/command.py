"""`sumida proxy`: its command line, and the program around the proxy."""

import argparse
import signal
import sys
from asyncio import Task
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import sumida
from sumida import Elapsed, JoinSet, process, timeout
from sumida.apps.proxy.application import CannotListenError, Proxy
from sumida.apps.proxy.config import BALANCES, LOGS, PREAMBLES, ConfigError, parse
from sumida.apps.proxy.journal import Journal
from sumida.apps.proxy.loading import Loaded, load, prepare
from sumida.apps.proxy.reload import Reloader
from sumida.channels import watch

__all__ = ("add_arguments", "serve", "start", "table_of")

_EXIT_USAGE: Final = 2
_EXIT_CANNOT_LISTEN: Final = 1

_MARGIN: Final = 10.0
"""Seconds after the drain in which the proxy has to end by itself."""

_LAST_LINES: Final = 2.0
"""Seconds that the reader of the log has for the last lines."""

_LISTENER_KEYS: Final = (
    "balance",
    "max_connections",
    "retries",
    "connect_timeout",
    "idle_timeout",
    "max_lifetime",
    "send_proxy",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may stand on the command line.

    Args:
        parser: Of this command.
    """
    add = parser.add_argument
    add("listen", nargs="?", metavar="LISTEN", help="host:port for the clients")
    add("upstreams", nargs="*", metavar="UPSTREAM", help="host:port of each server")
    add("--config", type=Path, metavar="FILE", help="a TOML file, in place of these")
    add("--check", action="store_true", help="only tell whether it can be used")
    add("--balance", choices=BALANCES)
    add("--max-connections", type=int, metavar="N", help="clients served at once")
    add("--upstream-connections", type=int, metavar="N", help="of one upstream")
    add("--retries", type=int, metavar="N", help="connects tried again elsewhere")
    add("--connect-timeout", type=float, metavar="SECONDS")
    add("--idle-timeout", type=float, metavar="SECONDS", help="0: never")
    add("--max-lifetime", type=float, metavar="SECONDS", help="0: never")
    add("--send-proxy", choices=PREAMBLES, help="tell upstreams who the client is")
    add("--check-interval", type=float, metavar="SECONDS", help="0: no checks")
    add("--certificate", metavar="PEM", help="speak TLS with clients")
    add("--key", metavar="PEM", help="of the certificate, if in another file")
    add("--metrics", metavar="HOST:PORT", help="answer /metrics and /healthz")
    add("--log", choices=LOGS)
    add("--drain", type=float, metavar="SECONDS", help="for connections at a stop")
    add("--asyncio", action="store_true", help="use asyncio's loop even with uvloop")


def table_of(options: argparse.Namespace) -> dict[str, object]:
    """Make the table that a file with the same meaning would hold.

    Args:
        options: What stood on the command line.

    Returns:
        What `parse` takes.
    """
    given: dict[str, object] = vars(options)
    limit = given.get("upstream_connections")
    listener: dict[str, object] = {
        "listen": options.listen,
        "upstreams": [
            {"address": each} | ({} if limit is None else {"max_connections": limit})
            for each in options.upstreams
        ],
    }
    for key in _LISTENER_KEYS:
        if given.get(key) is not None:
            listener[key] = given[key]
    if options.check_interval is not None:
        listener["health"] = {"interval": options.check_interval}
    if options.certificate is not None:
        tls = {"certificate": options.certificate, "key": options.key}
        listener["tls"] = {key: each for key, each in tls.items() if each is not None}
    proxy = {
        key: given[key]
        for key in ("metrics", "log", "drain")
        if given.get(key) is not None
    }
    return {"proxy": proxy, "listener": [listener]}


def start(options: argparse.Namespace) -> int:
    """Run the command.

    Args:
        options: What stood on the command line.

    Returns:
        The exit code: 0 after a stop, 1 if a port cannot be had, 2 if it was told
        nonsense.
    """
    try:
        loaded = _load(options)
    except ConfigError as error:
        sys.stderr.write(f"sumida proxy: {error}\n")
        return _EXIT_USAGE
    if options.check:
        count = len(loaded.config.listeners)
        sys.stdout.write(f"good: {count} listener{'s' if count > 1 else ''}\n")
        return 0
    return sumida.run(
        serve,
        loaded,
        options.config,
        grace=loaded.config.drain + _MARGIN,
        uvloop=False if options.asyncio else None,
    )


def _load(options: argparse.Namespace) -> Loaded:
    if options.config is None:
        if options.listen is None:
            raise ConfigError(
                "LISTEN", "", '"host:port"', "give it and UPSTREAMs, or --config FILE"
            )
        return prepare(parse(table_of(options), Path()))
    extra = [
        name
        for name, value in vars(options).items()
        if name not in ("command", "config", "check", "asyncio")
        and value not in (None, [])
    ]
    if extra:
        raise ConfigError(
            "--config",
            str(options.config),
            "alone",
            f"put {', '.join(extra)} into the file",
        )
    return load(options.config)


async def serve(loaded: Loaded, path: Path | None) -> int:
    """Run the proxy until SIGTERM or Ctrl-C.

    Args:
        loaded: The first configuration.
        path: The file to watch; None if there is none.

    Returns:
        The exit code.

    Cancel safety:
        Safe: every connection is cancelled.
    """
    journal = Journal(loaded.config.log)
    configs, seen = watch.channel(loaded)
    proxy = Proxy(seen, journal)
    code = 0
    async with JoinSet[object]() as tasks:
        writing = tasks.spawn(journal.write(), name="journal")
        try:
            with ExitStack() as stack:
                stack.callback(journal.close)
                for side in (configs, seen):
                    stack.enter_context(side)
                if path is not None:
                    # Before the first line is told: who sees it may send the signal.
                    hangup = stack.enter_context(process.signal(signal.SIGHUP))
                    reloader = Reloader(path, configs, proxy.metrics, journal)
                    reloading = tasks.spawn(reloader.run(hangup), name="reload")
                    stack.callback(reloading.cancel)
                try:
                    await proxy.run(sumida.shutdown_token())
                except CannotListenError as error:
                    sys.stderr.write(f"sumida proxy: {error}\n")
                    code = _EXIT_CANNOT_LISTEN
        finally:
            # Also when a second signal cuts all: the lines of the cut ones are there.
            await _finish(writing)
    return code


async def _finish(writing: Task[object]) -> None:
    """Let the last lines be written, but not for ever."""
    try:
        async with timeout(_LAST_LINES):
            await writing
    except Elapsed:
        pass  # nobody reads them
