"""Bytes as they come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumida.net import BytesCodec
from tests.net.codec.feeding import SIZES, fed


def test_what_is_there_is_given() -> None:
    """All of it; None when there is nothing."""
    codec = BytesCodec()
    buffer = bytearray(b"abc")

    assert codec.decode(buffer) == b"abc"
    assert codec.decode(buffer) is None
    assert codec.decode_eof(buffer) is None
    assert repr(codec) == "BytesCodec()"


def test_bytes_are_written_as_they_are() -> None:
    """What could change is copied."""
    codec = BytesCodec()
    data = bytearray(b"abc")
    copy = codec.encode(data)
    data[0] = 0

    assert copy == b"abc"
    with pytest.raises(TypeError, match="must be bytes, not int"):
        codec.encode(3)  # type: ignore[arg-type]  # that is the point


@given(data=st.binary(max_size=100), sizes=SIZES)
def test_no_byte_is_lost_or_doubled(data: bytes, sizes: list[int]) -> None:
    """In any pieces."""
    given_back = b"".join(bytes(part) for part in fed(BytesCodec(), data, sizes))  # type: ignore[call-overload]  # they are bytes

    assert given_back == data
