"""Frames after their length: each setting, the limits, any pieces."""

import sys
from typing import TypedDict, Unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumida.errors import (
    FrameError,
    FrameTooLargeError,
    IncompleteReadError,
    InvalidFrameError,
)
from sumida.net import LengthDelimitedCodec
from sumida.net.codec.length_delimited import FieldOrder
from tests.net.codec.feeding import SIZES, Bad, fed


class Settings(TypedDict, total=False):
    """The settings of a codec."""

    max_frame_length: int
    length_field_offset: int
    length_field_length: int
    length_adjustment: int
    num_skip: int | None
    byte_order: FieldOrder


LITTLE = sys.byteorder == "little"
THREE = [b"abcdefghi", b"123", b"hello world"]


@pytest.mark.parametrize(
    ("settings", "data", "frames"),
    [
        ({}, b"", []),
        ({}, b"\0\0\0\x09abcdefghi", [b"abcdefghi"]),
        ({}, b"\0\0\0\0", [b""]),
        ({}, b"\0\0\0\x09abcdefghi\0\0\0\x03123\0\0\0\x0bhello world", THREE),
        ({"byte_order": "little"}, b"\x09\0\0\0abcdefghi", [b"abcdefghi"]),
        (
            {"byte_order": "native"},
            (b"\x09\0\0\0" if LITTLE else b"\0\0\0\x09") + b"abcdefghi",
            [b"abcdefghi"],
        ),
        ({"length_field_length": 1}, b"\x09abcdefghi", [b"abcdefghi"]),
        ({"length_field_length": 2}, b"\0\x03abc", [b"abc"]),
        ({"length_field_length": 3}, b"\0\0\x03abc", [b"abc"]),
        (
            {"length_field_length": 3, "byte_order": "little"},
            b"\x03\0\0abc",
            [b"abc"],
        ),
        ({"length_field_length": 5}, b"\0\0\0\0\x03abc", [b"abc"]),
        ({"length_field_length": 8}, b"\0\0\0\0\0\0\0\x03abc", [b"abc"]),
        (
            {"length_field_length": 2, "length_field_offset": 4},
            b"zzzz\0\x09abcdefghi",
            [b"abcdefghi"],
        ),
        (
            # The head is part of the frame, and the length is of what follows it.
            {
                "length_field_length": 2,
                "length_field_offset": 2,
                "num_skip": 0,
                "length_adjustment": 4,
            },
            b"xx\0\x09abcdefghiyy\0\x03123zz\0\x0bhello world",
            [b"xx\0\x09abcdefghi", b"yy\0\x03123", b"zz\0\x0bhello world"],
        ),
        (
            # A byte of something behind the length.
            {"length_field_length": 3, "num_skip": 4},
            b"\0\0\x0b\x0cHello world",
            [b"Hello world"],
        ),
        (
            # The length counts its own two bytes.
            {"length_field_length": 2, "length_adjustment": -2},
            b"\0\x0babcdefghi\0\x05123\0\x0dhello world",
            THREE,
        ),
        ({"max_frame_length": 5}, b"\0\0\0\x09abcdefghi", [Bad(FrameTooLargeError)]),
        (
            {"max_frame_length": 5},
            b"\0\0\0\x05abcde\0\0\0\x06abcdef",
            [b"abcde", Bad(FrameTooLargeError)],
        ),
        (
            # The length in the head is checked, not that of the frame.
            {"max_frame_length": 5, "length_adjustment": 1},
            b"\0\0\0\x05abcdef\0\0\0\x06abcdefg",
            [b"abcdef", Bad(FrameTooLargeError)],
        ),
        (
            {"max_frame_length": 5, "length_adjustment": -2},
            b"\0\0\0\x05abc\0\0\0\x06abcd",
            [b"abc", Bad(FrameTooLargeError)],
        ),
        ({"length_adjustment": -2}, b"\0\0\0\x01", [Bad(InvalidFrameError)]),
        ({"length_adjustment": -2}, b"\0\0\0\x02", [b""]),
        # Without bytes in it or in its head a frame would be found for ever.
        ({"num_skip": 0}, b"\0\0\0\0", [Bad(InvalidFrameError)]),
        ({"num_skip": 0}, b"\0\0\0\x05a", [b"\0\0\0\x05a"]),
        ({}, b"\0\0", [Bad(IncompleteReadError)]),
        ({}, b"\0\0\0\x09abcd", [Bad(IncompleteReadError)]),
        ({}, b"\0\0\0\x01a\0", [b"a", Bad(IncompleteReadError)]),
        ({}, b"\0\0\0\x01", [Bad(IncompleteReadError)]),
    ],
)
def test_each_setting_reads_as_it_says(
    settings: Settings, data: bytes, frames: list[object]
) -> None:
    """Whole, and byte by byte, and with many taken at once."""
    eager = LengthDelimitedCodec(**settings)

    assert fed(LengthDelimitedCodec(**settings), data) == frames
    assert fed(LengthDelimitedCodec(**settings), data, [1] * len(data)) == frames
    assert fed(eager, data, decode_all=eager.decode_all) == frames


@pytest.mark.parametrize(
    ("settings", "frame", "data"),
    [
        ({}, b"abcdefghi", b"\0\0\0\x09abcdefghi"),
        ({}, b"", b"\0\0\0\0"),
        ({"length_adjustment": -2}, b"abcdefghi", b"\0\0\0\x0babcdefghi"),
        ({"length_adjustment": 2}, b"abc", b"\0\0\0\x01abc"),
        ({"byte_order": "little"}, b"abcdefghi", b"\x09\0\0\0abcdefghi"),
        ({"length_field_length": 1}, b"abcdefghi", b"\x09abcdefghi"),
        ({"length_field_length": 3}, b"a", b"\0\0\x01a"),
        # These two are only for reading.
        ({"length_field_offset": 2}, b"a", b"\0\0\0\x01a"),
        ({"num_skip": 0}, b"a", b"\0\0\0\x01a"),
        ({"max_frame_length": 5}, b"abcdef", FrameTooLargeError),
        ({"length_adjustment": 4}, b"abc", InvalidFrameError),
    ],
)
def test_each_setting_writes_as_it_says(
    settings: Settings, frame: bytes, data: bytes | type[FrameError]
) -> None:
    """The length and the frame; a frame that is refused leaves nothing."""
    codec = LengthDelimitedCodec(**settings)
    if isinstance(data, bytes):
        assert codec.encode(frame) == data
    else:
        with pytest.raises(data):
            codec.encode(frame)


@pytest.mark.parametrize(
    ("size", "adjustment", "effective"),
    [
        (1, 0, 255),
        (1, -1, 254),
        (1, 1, 256),
        (1, -300, 0),
        (2, 0, 65535),
        (4, 0, 1 << 30),
        (8, 0, 1 << 30),
    ],
)
def test_the_limit_is_clipped_to_what_fits(
    size: int, adjustment: int, effective: int
) -> None:
    """When it is made, and when it is changed."""
    codec = LengthDelimitedCodec(
        1 << 30, length_field_length=size, length_adjustment=adjustment
    )
    assert codec.max_frame_length == effective

    codec.max_frame_length = 1
    assert codec.max_frame_length == min(1, effective)
    codec.max_frame_length = 1 << 30
    assert codec.max_frame_length == effective


def test_the_largest_that_fits_is_written_and_read() -> None:
    """And one byte more is not."""
    codec = LengthDelimitedCodec(length_field_length=1)

    assert fed(codec, codec.encode(b"x" * 255)) == [b"x" * 255]
    with pytest.raises(FrameTooLargeError, match="frame of 256 bytes is above the li"):
        codec.encode(b"x" * 256)


def test_a_new_limit_holds_from_the_next_head() -> None:
    """A frame that is under way is still read."""
    codec = LengthDelimitedCodec()
    buffer = bytearray(b"\0\0\0\x09abcd")
    assert codec.decode(buffer) is None

    codec.max_frame_length = 5
    buffer += b"efghi\0\0\0\x09abcdefghi"
    assert codec.decode(buffer) == b"abcdefghi"
    with pytest.raises(FrameTooLargeError) as caught:
        codec.decode(buffer)
    assert (caught.value.size, caught.value.limit) == (9, 5)
    with pytest.raises(FrameTooLargeError):
        codec.encode(b"abcdef")


def test_the_end_within_a_frame_tells_what_came() -> None:
    """Of the frame, or of its head; then it is the end."""
    codec = LengthDelimitedCodec()
    buffer = bytearray(b"\0\0\0\x09abcd")
    with pytest.raises(IncompleteReadError) as caught:
        codec.decode_eof(buffer)

    assert (caught.value.partial, caught.value.expected) == (b"abcd", 9)
    assert codec.decode_eof(buffer) is None
    buffer += b"\0\0"
    with pytest.raises(IncompleteReadError) as caught:
        codec.decode_eof(buffer)
    assert (caught.value.partial, caught.value.expected) == (b"\0\0", 4)


def test_nothing_is_found_at_once_amid_a_frame() -> None:
    """That one is for `decode`."""
    codec = LengthDelimitedCodec()
    buffer = bytearray(b"\0\0\0\x02a")
    assert codec.decode(buffer) is None
    buffer += b"b\0\0\0\x01c"
    assert codec.decode_all(bytes(buffer)) == ([], 0)
    assert codec.decode(buffer) == b"ab"
    assert codec.decode_all(bytes(buffer)) == ([b"c"], 5)


@pytest.mark.parametrize("size", range(1, 9))
@pytest.mark.parametrize("order", ["big", "little"])
@pytest.mark.parametrize("counts", [(1, 30), (30, 1, 2, 30), (3, 3, 3, 20), (300,)])
def test_frames_of_one_size_are_found_in_one_go(
    size: int, order: FieldOrder, counts: tuple[int, ...]
) -> None:
    """And where the size changes, and where half of one is left."""
    codec = LengthDelimitedCodec(length_field_length=size, byte_order=order)
    frames = [
        bytes([index]) * (10 + index)
        for index, count in enumerate(counts)
        for _ in range(count)
    ]
    data = b"".join(map(codec.encode, frames))

    assert codec.decode_all(data) == (frames, len(data))
    assert codec.decode_all(data[:-1]) == (
        frames[:-1],
        len(data) - size - len(frames[-1]),
    )


def test_a_large_frame_costs_no_more_than_its_bytes() -> None:
    """What a peer announces is not set aside."""
    codec = LengthDelimitedCodec(1 << 40, length_field_length=8)
    buffer = bytearray((1 << 39).to_bytes(8, "big") + b"x")

    assert codec.decode(buffer) is None
    assert buffer == b"x"


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"max_frame_length": -1}, ValueError, "max_frame_length must be 0 or more"),
        ({"length_field_length": 0}, ValueError, "must be 1 to 8, not 0"),
        ({"length_field_length": 9}, ValueError, "must be 1 to 8, not 9"),
        ({"length_field_offset": -1}, ValueError, "length_field_offset must be 0"),
        ({"num_skip": -1}, ValueError, "num_skip must be 0 or more, not -1"),
        ({"length_adjustment": 1.0}, TypeError, "must be an int, not 1.0"),
        ({"byte_order": "middle"}, ValueError, '"big", "little" or "native"'),
    ],
)
def test_bad_settings_are_refused(
    settings: Settings, error: type[Exception], words: str
) -> None:
    """With the value, and what is allowed."""
    with pytest.raises(error, match=words):
        LengthDelimitedCodec(**settings)


def test_a_codec_shows_its_settings() -> None:
    """Those that are not as usual."""
    assert repr(LengthDelimitedCodec()) == "LengthDelimitedCodec(8388608)"
    assert repr(
        LengthDelimitedCodec(9, length_field_length=2, num_skip=0, length_adjustment=-1)
    ) == (
        "LengthDelimitedCodec(9, length_field_length=2, length_adjustment=-1, "
        "num_skip=0)"
    )


def frames_of(data: bytes, limit: int, **settings: Unpack[Settings]) -> list[object]:
    """Read as the rules say, all at once, in the plainest way."""
    offset = settings.get("length_field_offset", 0)
    size = settings.get("length_field_length", 4)
    skip = settings.get("num_skip")
    skip = offset + size if skip is None else skip
    order = settings.get("byte_order", "big")
    assert order != "native"
    limit = max(0, min(limit, 256**size - 1 + settings.get("length_adjustment", 0)))
    events: list[object] = []
    while data:
        if len(data) < max(offset + size, skip):
            return [*events, Bad(IncompleteReadError)]
        announced = int.from_bytes(data[offset : offset + size], order)
        length = announced + settings.get("length_adjustment", 0)
        if announced > limit:
            return [*events, Bad(FrameTooLargeError)]
        if length < 0 or skip + length == 0:
            return [*events, Bad(InvalidFrameError)]
        if len(data) < skip + length:
            return [*events, Bad(IncompleteReadError)]
        events.append(data[skip : skip + length])
        data = data[skip + length :]
    return events


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "length_field_offset": st.integers(0, 3),
        "length_field_length": st.integers(1, 8),
        "length_adjustment": st.integers(-4, 4),
        "num_skip": st.integers(0, 12),
        "byte_order": st.sampled_from(["big", "little"]),
    },
)


@given(
    settings=SETTINGS,
    limit=st.integers(0, 12),
    data=st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 5, 9, 13]), max_size=60),
    sizes=SIZES,
)
def test_any_pieces_give_the_same_frames(
    settings: Settings, limit: int, data: list[int], sizes: list[int]
) -> None:
    """With any settings, one at a time and many at once, as the rules say."""
    expected = frames_of(bytes(data), limit, **settings)
    plain = LengthDelimitedCodec(limit, **settings)  # type: ignore[misc]  # not in them
    eager = LengthDelimitedCodec(limit, **settings)  # type: ignore[misc]  # not in them

    assert fed(plain, bytes(data), sizes) == expected
    assert fed(eager, bytes(data), sizes, decode_all=eager.decode_all) == expected


@given(
    size=st.integers(1, 8),
    order=st.sampled_from(["big", "little", "native"]),
    adjustment=st.integers(-4, 0),
    frames=st.lists(st.binary(max_size=250)),
)
def test_what_is_written_is_read(
    size: int, order: FieldOrder, adjustment: int, frames: list[bytes]
) -> None:
    """Each as it was."""
    codec = LengthDelimitedCodec(
        length_field_length=size, byte_order=order, length_adjustment=adjustment
    )
    # The head is checked before the adjustment, so the largest are not read back.
    most = codec.max_frame_length + adjustment
    frames = [frame[:most] for frame in frames]

    assert fed(codec, b"".join(map(codec.encode, frames))) == frames
