"""The little HTTP server for /metrics and /healthz."""

import urllib.error
import urllib.request
from http import HTTPStatus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumida import spawn_blocking
from sumida.apps.proxy.scrape import Answer, respond
from sumida.net import TcpStream
from tests.apps.proxy.support import (
    LOCAL,
    ask,
    backends,
    dead_address,
    listener,
    loaded,
    proxying,
    until,
)
from tests.support import Run

METRICS = "127.0.0.1:0"


def page(path: str) -> Answer | None:
    """Have one page."""
    return (HTTPStatus.OK, "text/plain", b"hello") if path == "/x" else None


@pytest.mark.parametrize(
    ("head", "status", "body"),
    [
        (b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n", b"200 OK", b"hello"),
        (b"GET /x?y=1 HTTP/1.0\r\n\r\n", b"200 OK", b"hello"),
        (b"HEAD /x HTTP/1.1\r\n\r\n", b"200 OK", b""),
        (b"GET /y HTTP/1.1\r\n\r\n", b"404 Not Found", b"/metrics or /healthz\n"),
        (b"POST /x HTTP/1.1\r\n\r\n", b"405 Method Not Allowed", b"GET or HEAD only\n"),
        (b"GET /x\r\n\r\n", b"400 Bad Request", b"this is not HTTP/1.1\n"),
        (b"GET /x HTTP/2\r\n\r\n", b"400 Bad Request", b"this is not HTTP/1.1\n"),
        (b"", b"400 Bad Request", b"this is not HTTP/1.1\n"),
    ],
)
def test_a_request_has_its_answer(head: bytes, status: bytes, body: bytes) -> None:
    """Whole, with its length, and the connection ends."""
    answer = respond(head, page)

    begin, _, rest = answer.partition(b"\r\n\r\n")
    assert begin.startswith(b"HTTP/1.1 " + status + b"\r\n")
    assert rest == body
    assert b"Connection: close" in begin
    if not head.startswith(b"HEAD"):
        assert b"Content-Length: %d" % len(body) in begin


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_junk_has_an_answer_too(head: bytes) -> None:
    """Of one kind or another."""
    assert respond(head, page).startswith(b"HTTP/1.1 ")


def fetch(port: int, path: str) -> tuple[int, str]:
    """Ask as a real client does."""
    try:
        with urllib.request.urlopen(f"http://{LOCAL}:{port}{path}") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_state_of_the_proxy_can_be_asked_for(run: Run) -> None:
    """Counts of what was served; health as it is now."""

    async def main() -> None:
        async with backends("a") as (a,):
            dead = await dead_address()
            config = loaded(listener(a, name="web"), metrics=METRICS)
            async with proxying(config) as running:
                port = running.proxy.metrics_port
                await ask(running, b"hi")
                status, text = await spawn_blocking(fetch, port, "/metrics")
                assert status == 200
                assert f'listener="web",outcome="done",upstream="{a.address}"' in text
                assert await spawn_blocking(fetch, port, "/healthz") == (200, "ok\n")
                assert (await spawn_blocking(fetch, port, "/"))[0] == 404
                await running.reload(
                    loaded(listener(dead, name="web", retries=0), metrics=METRICS)
                )
                await ask(running)
                assert await spawn_blocking(fetch, port, "/healthz") == (
                    503,
                    "no upstream is up: web\n",
                )

    run(main)


def test_while_it_drains_the_proxy_says_so(run: Run) -> None:
    """So that a balancer before it looks elsewhere."""

    async def main() -> None:
        async with (
            backends("a") as (a,),
            proxying(loaded(listener(a), metrics=METRICS)) as running,
        ):
            port = running.proxy.metrics_port
            stream = await running.connect()
            assert await stream.read_exact(1) == b"a"
            running.stop.cancel()
            await until(lambda: running.proxy.is_draining)
            answer = await spawn_blocking(fetch, port, "/healthz")
            stream.close()

        assert answer == (503, "draining\n")

    run(main)


def test_the_port_of_the_metrics_can_be_moved_by_a_reload(run: Run) -> None:
    """Also away, and back."""

    async def main() -> None:
        async with backends("a") as (a,):
            table = listener(a)
            async with proxying(loaded(table, metrics=METRICS)) as running:
                assert running.proxy.metrics_port
                await running.reload(loaded(table))
                assert running.proxy.metrics_port == 0
                address = await dead_address()
                await running.reload(loaded(table, metrics=address))
                port = running.proxy.metrics_port
                assert address.endswith(f":{port}")
                assert (await spawn_blocking(fetch, port, "/healthz"))[0] == 200
                await running.reload(loaded(table, metrics=a.address))
            refused = [each for each in running.events("reload") if "error" in each]

        assert "cannot listen" in str(refused[0]["error"])

    run(main)


def test_a_client_that_sends_too_much_is_told(run: Run) -> None:
    """And one that goes away is no error."""

    async def main() -> None:
        async with (
            backends("a") as (a,),
            proxying(loaded(listener(a), metrics=METRICS)) as running,
        ):
            port = running.proxy.metrics_port
            async with await TcpStream.connect(LOCAL, port) as stream:
                await stream.write_all(b"GET /metrics HTTP/1.1\r\n" + b"x" * 9000)
                assert (await stream.read_to_end()).startswith(b"HTTP/1.1 400")
            async with await TcpStream.connect(LOCAL, port) as stream:
                await stream.write_all(b"GET")
            assert (await spawn_blocking(fetch, port, "/healthz"))[0] == 200

    run(main)
