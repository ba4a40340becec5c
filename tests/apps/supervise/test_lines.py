"""Lines out of bytes that come as they like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumida.apps.supervise.lines import Lines, readable


def cut(pieces: list[bytes], limit: int = 64) -> list[str]:
    """Give the lines of bytes that come in these pieces."""
    lines = Lines(limit)
    return [line for piece in pieces for line in lines.feed(piece)] + lines.finish()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"one\ntwo", ["one", "two"]),
        (b"one\r\n\r\ntwo\r\n", ["one", "", "two"]),
        (b"50%\r100%\n", ["50%\r100%"]),
        (b"no utf-8: \xff\xfe\n", ["no utf-8: \\xff\\xfe"]),
        ("grüß\n".encode(), ["grüß"]),
        (b"\x1b[31mred\n", ["\x1b[31mred"]),
    ],
)
def test_bytes_become_lines(data: bytes, expected: list[str]) -> None:
    """Ends are taken off, and all else stays readable."""
    assert cut([data]) == expected


def test_the_last_line_is_given_once() -> None:
    """A second finish has nothing."""
    lines = Lines()

    assert lines.feed(b"half") == []
    assert lines.finish() == ["half"]
    assert lines.finish() == []


def test_a_long_line_is_cut_in_pieces() -> None:
    """And nothing of it is lost; at the limit exactly it is one."""
    assert cut([b"x" * 150 + b"\n"]) == ["x" * 64, "x" * 64, "x" * 22]
    assert cut([b"x" * 64 + b"\n", b"y\n"]) == ["x" * 64, "y"]


def test_a_cut_splits_no_character() -> None:
    """Of one byte to four."""
    for character in "aé€😀":
        assert "".join(cut([character.encode() * 100])) == character * 100


def test_a_line_without_end_is_bounded() -> None:
    """However much of it comes, no more than the limit is kept."""
    lines = Lines(64)
    given_out = sum(len(line) for _ in range(1000) for line in lines.feed(b"x" * 99))

    assert given_out >= 99_000 - 64


@given(st.lists(st.binary(max_size=40)), st.integers(8, 64))
def test_any_split_of_the_input_gives_the_same_lines(
    pieces: list[bytes], limit: int
) -> None:
    """Also in the middle of a character, or between the bytes of a line's end."""
    whole = b"".join(pieces)

    assert cut(pieces, limit) == cut([whole], limit)
    assert cut([bytes([byte]) for byte in whole], limit) == cut([whole], limit)


@given(st.lists(st.text().filter(lambda text: not {"\n", "\r"} & set(text))))
def test_text_comes_through_as_it_was(texts: list[str]) -> None:
    """What is UTF-8 and short enough is what it was."""
    data = "".join(f"{text}\n" for text in texts).encode(errors="replace")

    assert cut([data], 1 << 20) == [
        text.encode(errors="replace").decode() for text in texts
    ]


def test_what_is_no_text_can_be_read() -> None:
    """Byte by byte."""
    assert readable(b"\x80\xffok") == "\\x80\\xffok"
