"""Lines: ends, limits, encodings, any pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumida.errors import FrameTooLargeError, InvalidFrameError
from sumida.net import LinesCodec
from tests.net.codec.feeding import SIZES, Bad, fed

TEXT = st.lists(
    st.sampled_from(
        [b"\n", b"\r", b"a", b"bc", b"\xc3\xa9", b"\xff", b"\xe2\x82", b" "]
    ),
    max_size=60,
).map(b"".join)
"""Bytes that are hard on lines: ends of all kinds, good and bad UTF-8."""


def test_a_line_ends_at_a_newline() -> None:
    r"""A `\r` before it belongs to the end; one elsewhere does not."""
    codec = LinesCodec()
    buffer = bytearray(b"line 1\nline 2\r\nline\r3\n\r\n\r")

    assert [codec.decode(buffer) for _ in range(5)] == [
        "line 1",
        "line 2",
        "line\r3",
        "",
        None,
    ]
    assert codec.decode_eof(buffer) is None
    assert buffer == b"\r"
    buffer += b"k"
    assert codec.decode(buffer) is None
    assert codec.decode_eof(buffer) == "\rk"
    assert codec.decode_eof(buffer) is None


def test_the_last_line_needs_no_end() -> None:
    r"""Neither a newline nor, if it is alone, a `\r`."""
    for rest, line in ((b"tail", "tail"), (b"tail\r", "tail"), (b"", None)):
        assert LinesCodec().decode_eof(bytearray(rest)) == line


def test_a_long_line_is_an_error_once() -> None:
    """The lines after it are read."""
    codec = LinesCodec(max_length=6)
    buffer = bytearray(b"line 1 is too long\nline 2\nline 3\r\nline 4\n\r\n\r")

    with pytest.raises(FrameTooLargeError, match="above the limit of 6") as caught:
        codec.decode(buffer)

    assert (caught.value.what, caught.value.size) == ("line", 44)
    assert codec.decode(buffer) == "line 2"
    # With its \r it has seven bytes.
    with pytest.raises(FrameTooLargeError):
        codec.decode(buffer)
    assert [codec.decode(buffer) for _ in range(3)] == ["line 4", "", None]


@pytest.mark.parametrize(
    ("limit", "steps"),
    [
        (6, [(b"line ", None), (b"too l", Bad), (b"ong\n", None), (b"2\n", "2")]),
        (10, [(b"line ", None), (b"too l", None), (b"ong\n", Bad)]),
        (10, [(b"line ", None), (b"too long!\n", Bad)]),
        (5, [(b"hello", None), (b"\nworld", "hello")]),
        (1, [(b"aa", Bad), (b"a", None), (b"\nb\n", "b")]),
        (
            11,
            [
                (b"line ", None),
                (b"too very l", Bad),
                (b"a" * 23, None),
                (b"ong\nshort\n", "short"),
            ],
        ),
    ],
)
def test_the_limit_holds_in_any_pieces(
    limit: int, steps: list[tuple[bytes, object]]
) -> None:
    """Told as soon as a byte more than the limit is there, and no end."""
    codec = LinesCodec(max_length=limit)
    buffer = bytearray()
    for data, expected in steps:
        buffer += data
        if expected is Bad:
            with pytest.raises(FrameTooLargeError):
                codec.decode(buffer)
        else:
            assert codec.decode(buffer) == expected


def test_what_is_thrown_away_is_not_kept() -> None:
    """A line without an end takes no memory."""
    codec = LinesCodec(max_length=100)
    buffer = bytearray(b"x" * 101)
    with pytest.raises(FrameTooLargeError):
        codec.decode(buffer)
    for _ in range(10):
        buffer += b"x" * 1000
        assert codec.decode(buffer) is None
        assert not buffer


def test_bad_text_is_taken() -> None:
    """The line after it is read; the error has the bytes."""
    codec = LinesCodec()
    buffer = bytearray(b"\xff\xfe\ngood\n\xff")

    with pytest.raises(InvalidFrameError, match="not utf-8") as caught:
        codec.decode(buffer)

    assert caught.value.data == b"\xff\xfe"
    assert codec.decode(buffer) == "good"
    with pytest.raises(InvalidFrameError):
        codec.decode_eof(buffer)
    assert not buffer


@pytest.mark.parametrize(
    ("data", "lines", "rest"),
    [
        (b"a\r\nb\r\r\n\nc\n\xff\nd\n", ["a", "b\r", "", "c"], b"\xff\nd\n"),
        (b"\xff\nd\n", [], b"\xff\nd\n"),
        (b"a\n123456789\nb\n", ["a"], b"123456789\nb\n"),
        (b"12345\n12345\nrest", ["12345", "12345"], b"rest"),
        (b"rest", [], b"rest"),
    ],
)
def test_many_lines_are_found_at_once(
    data: bytes, lines: list[str], rest: bytes
) -> None:
    """Up to the first that is bad."""
    assert LinesCodec(max_length=8).decode_all(data) == (lines, len(data) - len(rest))


def test_nothing_is_found_at_once_amid_a_line() -> None:
    """What has been looked at is for `decode`."""
    codec = LinesCodec(max_length=4)
    buffer = bytearray(b"abc")
    assert codec.decode(buffer) is None
    buffer += b"d\n"
    assert codec.decode_all(bytes(buffer)) == ([], 0)
    assert codec.decode(buffer) == "abcd"


def test_lines_are_written() -> None:
    """With a newline."""
    codec = LinesCodec()

    assert codec.encode("line é") == b"line \xc3\xa9\n"
    with pytest.raises(InvalidFrameError, match="cannot be written in utf-8"):
        codec.encode("\ud800")
    with pytest.raises(TypeError, match="must be a str, not bytes"):
        codec.encode(b"x")  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "shift_jis"])
def test_other_encodings_have_lines_too(encoding: str) -> None:
    """Those in which a newline is a byte."""
    codec = LinesCodec(encoding=encoding)
    word = "ソé"[encoding != "shift_jis"] if encoding != "ascii" else "e"
    buffer = bytearray(codec.encode(word) * 3)
    assert codec.decode(buffer) == word
    assert codec.decode_all(bytes(buffer)) == ([word, word], len(buffer))


def test_bad_settings_are_refused() -> None:
    """With the value, and the way out."""
    with pytest.raises(ValueError, match="max_length must be 1 or more, not 0"):
        LinesCodec(0)
    with pytest.raises(TypeError, match="max_length must be an int"):
        LinesCodec(1.5)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(TypeError, match="not True"):
        LinesCodec(True)
    with pytest.raises(ValueError, match="utf-16 has not"):
        LinesCodec(encoding="utf-16")
    with pytest.raises(LookupError):
        LinesCodec(encoding="no such")
    assert repr(LinesCodec(9)) == "LinesCodec(max_length=9)"
    assert repr(LinesCodec(9, encoding="latin1")).endswith("encoding='iso8859-1')")
    assert LinesCodec(9).max_length == 9


def lines_of(data: bytes, limit: int) -> list[object]:
    """Split as the rules say, all at once."""
    *lines, rest = data.split(b"\n")
    if rest not in {b"", b"\r"}:
        lines.append(rest)
    events: list[object] = []
    for line in lines:
        if len(line) > limit:
            events.append(Bad(FrameTooLargeError))
            continue
        try:
            events.append(line.removesuffix(b"\r").decode())
        except UnicodeDecodeError:
            events.append(Bad(InvalidFrameError))
    return events


@given(data=TEXT, sizes=SIZES, limit=st.integers(1, 8))
def test_any_pieces_give_the_same_lines(
    data: bytes, sizes: list[int], limit: int
) -> None:
    """One at a time and many at once, and they are what the rules say."""
    expected = lines_of(data, limit)
    eager = LinesCodec(limit)

    assert fed(LinesCodec(limit), data, sizes) == expected
    assert fed(eager, data, sizes, decode_all=eager.decode_all) == expected


@given(lines=st.lists(st.text(st.characters(codec="utf-8"))))
def test_what_is_written_is_read(lines: list[str]) -> None:
    """Lines without an end in them."""
    lines = [line.replace("\n", "").rstrip("\r") for line in lines]
    codec = LinesCodec(1 << 20)

    assert fed(codec, b"".join(map(codec.encode, lines))) == lines
