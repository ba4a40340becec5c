"""JSON lines: values, types, blank and bad lines, any pieces."""

import json
import sys
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumida.errors import FrameTooLargeError, InvalidFrameError
from sumida.net import JsonLinesCodec
from tests.net.codec.feeding import SIZES, Bad, fed

LINES = st.lists(
    st.sampled_from(
        [
            b"1",
            b"[1, 2]",
            b'{"a": "\\n"}',
            b"null",
            b"",
            b" \t\r",
            b"{",
            b"1 2",
            b'"\xff"',
        ]
    ),
    max_size=12,
).map(b"\n".join)
"""Good lines, blank ones, and bad ones of each kind."""


@dataclass
class Add:
    """A message."""

    amount: int


def test_each_line_is_a_value() -> None:
    """Blank lines are passed over; the last line needs no end."""
    data = b'{"a": [1, 2.5, true]}\r\n\n \n"x"\n3'

    assert fed(JsonLinesCodec(), data) == [{"a": [1, 2.5, True]}, "x", 3]


def test_values_have_the_type_that_was_asked_for() -> None:
    """Others are errors, with the line; the next can be read."""
    codec = JsonLinesCodec(Add)
    buffer = bytearray(b'{"amount": 2}\n{"amount": "2"}\n{"amount": 3}\n')
    first: Add | None = codec.decode(buffer)

    assert first == Add(2)
    with pytest.raises(InvalidFrameError, match=r"Expected `int`.*amount") as caught:
        codec.decode(buffer)
    assert caught.value.data == b'{"amount": "2"}'
    assert codec.decode(buffer) == Add(3)
    assert repr(codec) == "JsonLinesCodec(Add, max_length=65536)"


def test_null_is_no_message() -> None:
    """Neither to be read nor to be written."""
    with pytest.raises(InvalidFrameError, match="null"):
        JsonLinesCodec().decode(bytearray(b"null\n"))
    with pytest.raises(InvalidFrameError, match="None is no message"):
        JsonLinesCodec().encode(None)


def test_a_long_line_is_an_error_once() -> None:
    """The lines after it are read."""
    codec = JsonLinesCodec(max_length=5)

    assert fed(codec, b"1234567\n12345\n") == [Bad(FrameTooLargeError), 12345]
    assert codec.max_length == 5


def test_what_cannot_be_written_is_refused() -> None:
    """By msgspec."""
    with pytest.raises(TypeError):
        JsonLinesCodec().encode(object())


def test_without_msgspec_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error tells what to install."""
    monkeypatch.setitem(sys.modules, "msgspec", None)

    with pytest.raises(ModuleNotFoundError, match=r"pip install 'sumida\[json\]'"):
        JsonLinesCodec()


@given(data=LINES, sizes=SIZES, limit=st.integers(3, 12))
def test_any_pieces_give_the_same_values(
    data: bytes, sizes: list[int], limit: int
) -> None:
    """One at a time and many at once, and they are what the rules say."""
    expected: list[object] = []
    for line in data.split(b"\n"):
        if len(line) > limit:
            expected.append(Bad(FrameTooLargeError))
        elif line.strip():
            try:
                value = json.loads(line)
            except ValueError:
                value = None
            expected.append(Bad(InvalidFrameError) if value is None else value)
    eager = JsonLinesCodec(max_length=limit)

    assert fed(JsonLinesCodec(max_length=limit), data, sizes) == expected
    assert fed(eager, data, sizes, decode_all=eager.decode_all) == expected


@given(
    st.lists(
        st.recursive(
            st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
        max_size=5,
    )
)
def test_what_is_written_is_read(values: list[object]) -> None:
    """Each as it was."""
    codec = JsonLinesCodec()

    assert fed(codec, b"".join(map(codec.encode, values))) == values
