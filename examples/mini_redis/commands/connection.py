# ruff: noqa: TID252  # the package is found where it lies, under any name
"""Commands about the connection and the server."""

import os
from typing import Final

from ..client import Client
from ..patterns import compile_pattern
from ..replies import OK, PONG, RESP2, RESP3, Reply, ReplyError, Simple
from .table import COMMANDS, Command, command, parse_int, text

__all__ = (
    "client_",
    "command_",
    "config",
    "echo",
    "hello",
    "info",
    "ping",
    "quit_",
    "select",
)

VERSION: Final = b"7.0.0"
"""What clients are told: the Redis whose words these are."""

_VISIBLE: Final = range(ord("!"), ord("~") + 1)
"""Bytes that a name may consist of."""

_OUR_FLAGS: Final = {b"hearing", b"immediate"}
"""Flags of the table that are none of Redis'."""


@command("PING", flags="fast hearing")
def ping(client: Client, message: bytes | None = None) -> Reply:
    """Return PONG, or the message."""
    if client.subscriber is not None and client.protocol != RESP3:
        return [b"pong", message or b""]
    return PONG if message is None else message


@command("ECHO", flags="fast")
def echo(_client: Client, message: bytes) -> Reply:
    """Return the message."""
    return message


@command("QUIT", flags="fast hearing immediate")
def quit_(client: Client) -> Reply:
    """Close the connection when what came before is answered."""
    client.is_leaving = True
    return OK


@command("SELECT", flags="fast")
def select(_client: Client, index: bytes) -> Reply:
    """Choose a database: there is one, 0."""
    if parse_int(index) != 0:
        raise ReplyError("ERR DB index is out of range")
    return OK


@command("HELLO", flags="fast")
def hello(client: Client, version: bytes | None = None, *options: bytes) -> Reply:
    """Choose the protocol, RESP 2 or 3, and tell about the server."""
    protocol = client.protocol
    if version is not None:
        protocol = parse_int(
            version, "ERR Protocol version is not an integer or out of range"
        )
        if protocol not in (RESP2, RESP3):
            raise ReplyError("NOPROTO unsupported protocol version")
    words = iter(options)
    for word in words:
        name = next(words, None)
        if word.upper() != b"SETNAME" or name is None:
            # AUTH among them: nobody has a password here.
            raise ReplyError(f"ERR Syntax error in HELLO option '{text(word)}'")
        client.name = _checked_name(name)
    client.protocol = protocol
    client.choose_mode()
    return {
        b"server": b"redis",
        b"version": VERSION,
        b"proto": protocol,
        b"id": client.number,
        b"mode": b"standalone",
        b"role": b"master",
        b"modules": [],
    }


def _checked_name(name: bytes) -> bytes:
    if any(byte not in _VISIBLE for byte in name):
        raise ReplyError(
            "ERR Client names cannot contain spaces, newlines or special characters."
        )
    return name


@command("CLIENT")
def client_(client: Client, subcommand: bytes, *arguments: bytes) -> Reply:
    """Tell about this client and the others: ID, GETNAME, SETNAME, SETINFO, LIST."""
    match subcommand.upper(), *arguments:
        case (b"ID",):
            return client.number
        case (b"GETNAME",):
            return client.name or None
        case (b"LIST",):
            return b"".join(map(_describe, client.shared.clients.values()))
        case b"SETNAME", name:
            client.name = _checked_name(name)
        case b"SETINFO", what, value if what.lower() in (b"lib-name", b"lib-ver"):
            client.library[what.lower()] = _checked_name(value)
        case _:
            raise _unknown("CLIENT", subcommand)
    return OK


def _unknown(name: str, subcommand: bytes) -> ReplyError:
    return ReplyError(
        f"ERR unknown subcommand or wrong number of arguments for "
        f"'{text(subcommand)[:128]}'. Try {name} HELP."
    )


def _describe(client: Client) -> bytes:
    who = client.subscriber
    return (
        b" ".join(
            b"%b=%b" % (name, value)
            for name, value in (
                (b"id", b"%d" % client.number),
                (b"addr", client.address.encode()),
                (b"name", client.name),
                (b"db", b"0"),
                (b"sub", b"%d" % (len(who.channels) if who else 0)),
                (b"psub", b"%d" % (len(who.patterns) if who else 0)),
                (b"multi", b"%d" % (-1 if client.queue is None else len(client.queue))),
                (b"resp", b"%d" % client.protocol),
                (b"lib-name", client.library.get(b"lib-name", b"")),
                (b"lib-ver", client.library.get(b"lib-ver", b"")),
            )
        )
        + b"\n"
    )


@command("INFO")
def info(client: Client, *sections: bytes) -> Reply:
    """Tell how the server does, in sections of lines."""
    shared = client.shared
    store = shared.store
    everything: dict[str, dict[str, object]] = {
        "Server": {
            "redis_version": text(VERSION),
            "redis_mode": "standalone",
            "process_id": os.getpid(),
            "tcp_port": shared.port,
            "uptime_in_seconds": int(shared.clock() - shared.started),
        },
        "Clients": {
            "connected_clients": len(shared.clients),
            "blocked_clients": len(shared.line),
        },
        "Stats": {
            "total_connections_received": shared.statistics.connections,
            "total_commands_processed": shared.statistics.commands,
            "expired_keys": store.expired,
            "rejected_connections": shared.statistics.refused,
        },
        "Keyspace": (
            {"db0": f"keys={len(store)},expires={store.expiring},avg_ttl=0"}
            if len(store)
            else {}
        ),
    }
    wanted = {text(section).lower() for section in sections}
    if wanted <= {"all", "default", "everything"}:
        wanted = {title.lower() for title in everything}
    return "\r\n".join(
        "\r\n".join([f"# {title}", *(f"{k}:{v}" for k, v in lines.items()), ""])
        for title, lines in everything.items()
        if title.lower() in wanted
    ).encode()


@command("CONFIG")
def config(client: Client, subcommand: bytes, *patterns: bytes) -> Reply:
    """Tell settings: CONFIG GET with patterns of their names."""
    if subcommand.upper() != b"GET" or not patterns:
        raise _unknown("CONFIG", subcommand)
    settings = {
        b"appendonly": b"no",
        b"databases": b"1",
        b"maxmemory": b"0",
        b"port": b"%d" % client.shared.port,
        b"proto-max-bulk-len": b"%d" % client.shared.limits.bulk,
        b"save": b"",
        b"timeout": b"0",
    }
    chosen = [compile_pattern(pattern.lower()).fullmatch for pattern in patterns]
    return {
        name: value
        for name, value in settings.items()
        if any(matches(name) for matches in chosen)
    }


@command("COMMAND")
def command_(_client: Client, subcommand: bytes = b"INFO", *names: bytes) -> Reply:
    """Tell about the commands: COUNT, LIST, INFO, DOCS."""
    entries = {entry.name: entry for entry in COMMANDS.values()}
    known = [entries.get(n.upper()) for n in names] if names else [*entries.values()]
    match subcommand.upper():
        case b"COUNT":
            return len(entries)
        case b"LIST":
            return [name.lower() for name in entries]
        case b"INFO":
            return [None if entry is None else _entry(entry) for entry in known]
        case b"DOCS":
            return {
                entry.name.lower(): {
                    b"summary": entry.summary.encode(),
                    b"since": b"1.0.0",
                    b"group": entry.function.__module__.rpartition(".")[2].encode(),
                    b"complexity": b"",
                }
                for entry in known
                if entry is not None
            }
        case _:
            raise _unknown("COMMAND", subcommand)


def _entry(entry: Command) -> Reply:
    flags = [Simple(flag) for flag in entry.flags if flag not in _OUR_FLAGS]
    # What follows is told of by no entry: categories, tips, kinds of keys, subcommands.
    return [entry.name.lower(), entry.arity, flags, *entry.keys, [], [], [], []]
