"""Chunks: delimiters, limits, any pieces."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumida.errors import FrameTooLargeError
from sumida.net import AnyDelimiterCodec
from tests.net.codec.feeding import SIZES, Bad, fed


def test_a_chunk_ends_at_any_delimiter() -> None:
    """A chunk may be empty, and the last one needs no delimiter."""
    codec = AnyDelimiterCodec(b",;\n\r", b",")
    buffer = bytearray(b"chunk 1,chunk 2;chunk 3\n\r")
    assert [codec.decode(buffer) for _ in range(5)] == [
        b"chunk 1",
        b"chunk 2",
        b"chunk 3",
        b"",
        None,
    ]
    assert codec.decode_eof(buffer) is None
    buffer += b"k"
    assert codec.decode(buffer) is None
    assert codec.decode_eof(buffer) == b"k"
    assert codec.decode_eof(buffer) is None


def test_a_long_chunk_is_an_error_once() -> None:
    """The chunks after it are read."""
    codec = AnyDelimiterCodec(max_length=7)
    buffer = bytearray(b"chunk 1 is too long\nchunk 2\nchunk 3\r\nchunk 4\n\r\n")
    with pytest.raises(FrameTooLargeError) as caught:
        codec.decode(buffer)

    assert (caught.value.what, caught.value.limit) == ("chunk", 7)
    assert [codec.decode(buffer) for _ in range(7)] == [
        b"chunk 2",
        b"chunk 3",
        b"",
        b"chunk 4",
        b"",
        b"",
        None,
    ]


def test_chunks_are_written() -> None:
    """With the sequence, which may be any bytes."""
    assert AnyDelimiterCodec().encode(bytearray(b"a")) == b"a,"
    assert AnyDelimiterCodec(b"-", b"--").encode(memoryview(b"a")) == b"a--"
    with pytest.raises(TypeError, match="must be bytes, not str"):
        AnyDelimiterCodec().encode("a")  # type: ignore[arg-type]  # that is the point


def test_bad_settings_are_refused() -> None:
    """With the value."""
    with pytest.raises(ValueError, match="delimiters must be 1 byte or more"):
        AnyDelimiterCodec(b"")
    with pytest.raises(ValueError, match="max_length must be 1 or more, not -1"):
        AnyDelimiterCodec(max_length=-1)
    with pytest.raises(TypeError, match="not str"):
        AnyDelimiterCodec(",")  # type: ignore[arg-type]  # that is the point
    assert repr(AnyDelimiterCodec(b"]-^", b"", max_length=3)) == (
        "AnyDelimiterCodec(b']-^', b'', max_length=3)"
    )
    assert AnyDelimiterCodec(max_length=3).max_length == 3


@given(
    data=st.lists(st.sampled_from(b"]-^\\ab"), max_size=60).map(bytes),
    sizes=SIZES,
    delimiters=st.sampled_from([b"]", b"]-^", b"^\\", b"-"]),
    limit=st.integers(1, 6),
)
def test_any_pieces_give_the_same_chunks(
    data: bytes, sizes: list[int], delimiters: bytes, limit: int
) -> None:
    """One at a time and many at once, and they are what the rules say."""
    *chunks, rest = re.split(b"|".join(re.escape(bytes([b])) for b in delimiters), data)
    if rest:
        chunks.append(rest)
    expected = [c if len(c) <= limit else Bad(FrameTooLargeError) for c in chunks]
    eager = AnyDelimiterCodec(delimiters, max_length=limit)

    assert fed(AnyDelimiterCodec(delimiters, max_length=limit), data, sizes) == expected
    assert fed(eager, data, sizes, decode_all=eager.decode_all) == expected


@given(st.lists(st.binary()))
def test_what_is_written_is_read(chunks: list[bytes]) -> None:
    """Chunks without a delimiter in them."""
    chunks = [re.sub(rb"[,;\n\r]", b"", chunk) for chunk in chunks]
    codec = AnyDelimiterCodec()

    assert fed(codec, b"".join(map(codec.encode, chunks))) == chunks
