"""The protocol of the example: requests in, replies out, limits between."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.mini_redis.patterns import compile_pattern
from examples.mini_redis.protocol import (
    MAX_BATCH,
    Limits,
    ProtocolError,
    Request,
    RequestCodec,
)
from examples.mini_redis.replies import (
    OK,
    Many,
    Push,
    Reply,
    ReplyError,
    encode,
    pieces,
)

LIMITS = Limits(bulk=5000, arguments=100, total=20_000, line=200)


def wire(request: Sequence[bytes]) -> bytes:
    """Make the bytes of a request."""
    return b"*%d\r\n" % len(request) + b"".join(
        b"$%d\r\n%b\r\n" % (len(word), word) for word in request
    )


def feed(codec: RequestCodec, chunks: Iterable[bytes]) -> list[Request]:
    """Hand bytes to a codec as a stream does; give all requests."""
    buffer = bytearray()
    found: list[Request] = []
    for chunk in chunks:
        buffer += chunk
        while (batch := codec.decode(buffer)) is not None:
            assert batch
            found += batch
    return found


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut bytes at some places."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


# Words with line ends and signs inside, empty ones, and some above what the codec's
# quick way takes.
words = st.one_of(
    st.binary(max_size=20),
    st.sampled_from(
        [b"", b"\r\n", b"$3\r\nfoo\r\n", b"*1\r\n", b"x" * 4096, b"y" * 4097]
    ),
)
requests = st.lists(st.lists(words, min_size=1, max_size=4), max_size=8)
places = st.lists(st.integers(0, 2**20), max_size=12)


@given(requests, places)
@settings(max_examples=300, deadline=None)
def test_any_split_gives_the_same_requests(sent: list[Request], at: list[int]) -> None:
    """TCP cuts and joins as it likes; the requests do not change."""
    data = b"".join(map(wire, sent))

    assert feed(RequestCodec(Limits()), cut(data, at)) == sent


@given(st.binary(max_size=200) | st.text("*$0123456789\r\n -PING", max_size=80), places)
@settings(max_examples=500, deadline=None)
def test_random_bytes_are_requests_or_an_error(
    data: bytes | str, at: list[int]
) -> None:
    """Nothing else comes out, and how it was cut makes no difference."""
    raw = data.encode() if isinstance(data, str) else data

    def outcome(chunks: list[bytes]) -> tuple[list[Request], bool]:
        codec = RequestCodec(LIMITS)
        buffer = bytearray()
        found: list[Request] = []
        try:
            for chunk in chunks:
                buffer += chunk
                while (batch := codec.decode(buffer)) is not None:
                    found += batch
        except ProtocolError:
            return found, True
        return found, False

    assert outcome(cut(raw, at)) == outcome([raw])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"*x\r\n", "invalid multibulk length"),
        (b"*101\r\n", "invalid multibulk length"),
        (b"*" + b"1" * 40, "too big multibulk count string"),
        (b"*1\r\n:1\r\n", "expected '$', got ':'"),
        (b"*2\r\n*1\r\n$1\r\nx\r\n", "expected '$', got '*'"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$5001\r\n", "invalid bulk length"),
        (b"*1\r\n$\xb2\r\n", "invalid bulk length"),
        (b"*1\r\n$1\r\nxxx", "expected CRLF"),
        (
            b"*5\r\n" + b"".join(b"$4999\r\n" + b"x" * 4999 + b"\r\n" for _ in "12345"),
            "big",
        ),
        (b"a" * 200, "too big inline request"),
        (b'SET a "b\r\n', "unbalanced quotes"),
        (b"SET a 'b'c\r\n", "unbalanced quotes"),
    ],
)
def test_what_is_no_request_is_refused(data: bytes, text: str) -> None:
    """By a typed error, whose text Redis would use; before more is kept."""
    with pytest.raises(ProtocolError) as error:
        feed(RequestCodec(LIMITS), [data])

    assert text in str(error.value)


def test_requests_before_a_wrong_one_are_given() -> None:
    """And then the error, each time."""
    codec = RequestCodec(LIMITS)
    buffer = bytearray(wire([b"PING"]) + b"*1\r\n!")

    assert codec.decode(buffer) == [[b"PING"]]
    for _ in range(2):
        with pytest.raises(ProtocolError):
            codec.decode(buffer)


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        (b"PING\r\n", [b"PING"]),
        (b"  GET   k \n", [b"GET", b"k"]),
        (rb'SET k "a \"b\" \x41\n\q"' + b"\r\n", [b"SET", b"k", b'a "b" A\nq']),
        (rb"SET k 'it\'s'" + b"\r\n", [b"SET", b"k", b"it's"]),
        (b'ECHO ""\r\n', [b"ECHO", b""]),
    ],
)
def test_lines_are_requests_too(line: bytes, request_: Request) -> None:
    """As typed by hand, with quotes; empty lines and arrays say nothing."""
    assert feed(RequestCodec(LIMITS), [b"\r\n*0\r\n*-1\r\n", line]) == [request_]


def test_a_batch_has_an_end() -> None:
    """A client that sends a lot does not keep the others waiting."""
    codec = RequestCodec(LIMITS)
    buffer = bytearray(wire([b"PING"]) * (MAX_BATCH + 1))

    sizes = [len(codec.decode(buffer) or []) for _ in range(3)]

    assert sizes == [MAX_BATCH, 1, 0]


def test_an_end_within_a_request_drops_it() -> None:
    """Half a request is none."""
    codec = RequestCodec(LIMITS)

    assert codec.decode_eof(bytearray(b"*2\r\n$3\r\nGET\r\n")) is None


@pytest.mark.parametrize(
    ("reply", "resp2", "resp3"),
    [
        (OK, b"+OK\r\n", b"+OK\r\n"),
        (b"a\r\n", b"$3\r\na\r\n\r\n", b"$3\r\na\r\n\r\n"),
        (None, b"$-1\r\n", b"_\r\n"),
        (-1, b":-1\r\n", b":-1\r\n"),
        (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
        (10.0, b"$2\r\n10\r\n", b",10\r\n"),
        (float("inf"), b"$3\r\ninf\r\n", b",inf\r\n"),
        ([1, [b"x", None]], b"*2\r\n:1\r\n*2\r\n$1\r\nx\r\n$-1\r\n", None),
        ({b"a": 1}, b"*2\r\n$1\r\na\r\n:1\r\n", b"%1\r\n$1\r\na\r\n:1\r\n"),
        (Push((b"x", 1)), b"*2\r\n$1\r\nx\r\n:1\r\n", b">2\r\n$1\r\nx\r\n:1\r\n"),
        (Many((1, Push((2,)))), b":1\r\n*1\r\n:2\r\n", b":1\r\n>1\r\n:2\r\n"),
        (ReplyError("ERR a\r\nb \udcff"), b"-ERR a  b \xff\r\n", b"-ERR a  b \xff\r\n"),
    ],
)
def test_replies_suit_the_protocol(
    reply: Reply, resp2: bytes, resp3: bytes | None
) -> None:
    """Maps, pushes, doubles and nulls are RESP3's; RESP2 has the old forms."""
    assert b"".join(pieces(reply, 2)) == resp2
    if resp3 is not None:
        assert b"".join(pieces(reply, 3)) == resp3


def test_a_reply_that_is_none_is_a_fault_of_the_server() -> None:
    """It does not become bytes."""
    with pytest.raises(TypeError, match="no command"):
        encode([], 2)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (b"*", [b"", b"a\n"], []),
        (b"h?llo", [b"hello", b"h\nllo"], [b"hllo"]),
        (b"h*llo", [b"hllo", b"heeello"], [b"hell"]),
        (b"h[ae]llo", [b"hello", b"hallo"], [b"hillo"]),
        (b"h[^e]llo", [b"hallo"], [b"hello"]),
        (b"h[a-bx]llo", [b"hbllo", b"hxllo"], [b"hcllo"]),
        (b"h[b-a]llo", [b"hbllo"], [b"hcllo"]),
        (rb"h\*[\]\\]", [b"h*]", b"h*\\"], [b"hx]"]),
        (b"a[", [], [b"a", b"a["]),
        (b"a[^]*", [b"abc"], [b"a"]),
        (b"*a*b", [b"ab", b"xaab"], [b"ba"]),
        (b"*.c*d*", [b"a.b.cxd", b".cd"], [b"d.c"]),
    ],
)
def test_patterns_match_as_redis_does(
    pattern: bytes, yes: list[bytes], no: list[bytes]
) -> None:
    """All of the name, in bytes."""
    matches = compile_pattern(pattern).fullmatch

    assert [name for name in yes + no if matches(name)] == yes


def test_a_pattern_of_stars_does_not_hold_up_the_server() -> None:
    """It is not tried in every way there is: that would take longer than this suite."""
    pattern = compile_pattern(b"*a" * 40 + b"b")

    assert not pattern.fullmatch(b"a" * 2000)


@given(st.binary(max_size=12))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_pattern(pattern: bytes) -> None:
    """None is an error, whatever a client sends."""
    compile_pattern(pattern).fullmatch(b"abc")
