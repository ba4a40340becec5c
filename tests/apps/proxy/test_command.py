"""`sumida proxy`, run as a user runs it."""

import argparse
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import fields
from pathlib import Path

import pytest

from sumida.apps.proxy.command import add_arguments, start, table_of
from sumida.apps.proxy.config import (
    Config,
    HealthConfig,
    ListenerConfig,
    TlsConfig,
    UpstreamConfig,
    parse,
    parse_text,
)
from sumida.apps.proxy.metrics import Metrics, render

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 30


@pytest.fixture
def echo() -> Iterator[str]:
    """Give the address of a server that answers "a" and echoes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=talk, args=[sock], daemon=True).start()

        def talk(sock: socket.socket) -> None:
            with closing(sock), suppress(ConnectionError):
                sock.sendall(b"a")
                while data := sock.recv(65536):
                    sock.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield "{}:{}".format(*listener.getsockname())
        # Wakes the one who accepts, too.
        listener.shutdown(socket.SHUT_RDWR)


class Process:
    """The command at work; its log as JSON."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # this interpreter
            [sys.executable, "-m", "sumida", "proxy", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.events: list[dict[str, object]] = []

    def wait_for(self, event: str) -> dict[str, object]:
        """Read the log up to an event."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == event:
                return self.events[-1]
        raise AssertionError(f"it ended: {self._process.communicate()}")

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Read the log to its end; the exit code, and what it complained of."""
        out, errors = self._process.communicate(timeout=PATIENCE)
        self.events += [json.loads(line) for line in out.splitlines()]
        return self._process.returncode, errors

    def kill(self) -> None:
        """End it in any case."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def command(*arguments: str) -> Iterator[Process]:
    """Run it, and leave nothing."""
    process = Process(*arguments)
    try:
        yield process
    finally:
        process.kill()


def connect(address: object) -> socket.socket:
    """Connect as a client, with patience."""
    host, port = str(address).rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


def test_the_command_serves_and_drains(echo: str) -> None:
    """A connection that is there at SIGTERM ends when its client has done."""
    with command("127.0.0.1:0", echo, "--log", "json", "--drain", "20") as process:
        address = process.wait_for("listening")["address"]
        with connect(address) as client:
            assert client.recv(1) == b"a"
            process.signal(signal.SIGTERM)
            assert process.wait_for("draining")["connections"] == 1
            with pytest.raises(ConnectionRefusedError):
                connect(address)
            client.sendall(b"the last words")
            client.shutdown(socket.SHUT_WR)
            assert client.recv(100) == b"the last words"
            assert client.recv(1) == b""
        code, errors = process.end()

    assert (code, errors) == (0, "")
    (line,) = [each for each in process.events if each["event"] == "connection"]
    assert line["outcome"] == "done"
    assert process.events[-1]["event"] == "stopped"


def test_the_command_reloads_its_file(echo: str, tmp_path: Path) -> None:
    """At SIGHUP, and when it changes; what is broken is refused."""
    path = tmp_path / "proxy.toml"
    text = (
        '[proxy]\nlog = "json"\n[[listener]]\nlisten = "127.0.0.1:0"\n'
        f'upstreams = ["{echo}"]\nhealth.interval = 0\n'
    )
    path.write_text(text, encoding="utf-8")
    with command("--config", str(path)) as process:
        address = process.wait_for("listening")["address"]
        with connect(address) as client:
            assert client.recv(1) == b"a"
            process.signal(signal.SIGHUP)
            assert process.wait_for("reload")["result"] == "applied"
            path.write_text(text + "retries = 1000\n", encoding="utf-8")
            refused = process.wait_for("reload")
            path.write_text(text + "retries = 10\n", encoding="utf-8")
            assert process.wait_for("reload")["result"] == "applied"
            client.sendall(b"still")
            assert client.recv(100) == b"still"
        with connect(address) as client:
            assert client.recv(1) == b"a"
        process.signal(signal.SIGTERM)
        code, errors = process.end()

    assert (code, errors) == (0, "")
    assert refused["result"] == "refused"
    assert "listener 1, retries = 1000: must be" in str(refused["error"])


def test_the_command_tells_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2, before anything is opened."""
    path = tmp_path / "proxy.toml"
    path.write_text("x = 1", encoding="utf-8")
    for arguments, message in (
        (["localhost"], "listener 1, listen"),
        ([":0"], "upstreams"),
        ([], "LISTEN"),
        (["--config", str(path)], "x = 1: must be one of the known keys"),
        (["--config", str(path), "--retries", "3"], "put retries into the file"),
        ([":0", "a:1", "--certificate", "/nowhere.pem"], "/nowhere.pem"),
        ([":0", "a:1", "--drain", "-1"], "proxy, drain"),
    ):
        assert start(options(*arguments)) == 2
        assert message in capsys.readouterr().err


def test_the_command_checks_a_file_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For a hook before a reload."""
    path = tmp_path / "proxy.toml"
    path.write_text(
        '[[listener]]\nlisten = ":0"\nupstreams = ["a:1"]', encoding="utf-8"
    )

    assert start(options("--config", str(path), "--check")) == 0
    assert capsys.readouterr().out == "good: 1 listener\n"


def test_a_port_in_use_is_exit_code_1(echo: str) -> None:
    """Told on the standard error."""
    with command(echo, "127.0.0.1:1") as process:
        code, errors = process.end()

    assert code == 1
    assert f"cannot listen on {echo}" in errors
    assert "Traceback" not in errors


def test_a_second_signal_cuts_at_once(echo: str) -> None:
    """Whoever sends it does not want to wait for the drain."""
    with command("127.0.0.1:0", echo, "--log", "json") as process:
        address = process.wait_for("listening")["address"]
        with connect(address) as client:
            assert client.recv(1) == b"a"
            process.signal(signal.SIGTERM)
            process.wait_for("draining")
            process.signal(signal.SIGTERM)
            code, _ = process.end()

    assert code == 128 + signal.SIGTERM
    (line,) = [each for each in process.events if each["event"] == "connection"]
    assert line["outcome"] == "cancelled"


def test_the_page_names_every_option_key_and_metric() -> None:
    """And its example can be used."""
    page = (ROOT / "docs" / "proxy.md").read_text(encoding="utf-8")
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    wanted = [*parser.format_usage().split()]
    names = {word.strip("[]") for word in wanted if word.startswith("[--")}
    for kind in (Config, ListenerConfig, HealthConfig, TlsConfig, UpstreamConfig):
        names |= {each.name for each in fields(kind)} - {"listeners"}
    metrics, _ = render(Metrics(), lambda: (), 0)
    names |= {
        line.split()[2]
        for line in metrics.decode().splitlines()
        if line.startswith("# HELP")
    }
    example = page.partition("```toml\n")[2].partition("```")[0]

    assert len(names) > 40
    assert [name for name in names if name not in page] == []
    assert len(parse_text(example, Path()).listeners) == 2


def options(*arguments: str) -> argparse.Namespace:
    """Read a command line."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(arguments)


def config(*arguments: str) -> Config:
    """Give what a command line means."""
    return parse(table_of(options(*arguments)), Path("/x"))


def test_every_option_is_a_key_of_the_file() -> None:
    """And what is left out has the file's default."""
    plain = config(":80", "a:1", "b:2")
    full = config(
        *(":80", "a:1", "--balance", "least-connections", "--max-connections", "7"),
        *("--upstream-connections", "3", "--retries", "4", "--connect-timeout", "1"),
        *("--idle-timeout", "0", "--max-lifetime", "9", "--send-proxy", "v1"),
        *("--check-interval", "0", "--certificate", "c.pem", "--key", "k.pem"),
        *("--metrics", ":9100", "--log", "json", "--drain", "5"),
    )

    listener = full.listeners[0]
    assert (listener.balance, listener.max_connections) == ("least-connections", 7)
    assert listener.upstreams[0].max_connections == 3
    assert (listener.retries, listener.connect_timeout) == (4, 1.0)
    assert (listener.idle_timeout, listener.max_lifetime) == (0.0, 9.0)
    assert (listener.send_proxy, listener.health.interval) == ("v1", 0.0)
    assert listener.tls is not None
    assert listener.tls.key == Path("/x/k.pem")
    assert (full.log, full.drain) == ("json", 5.0)
    assert full.metrics is not None
    assert plain == parse(
        {"listener": [{"listen": ":80", "upstreams": ["a:1", "b:2"]}]}, Path()
    )
