"""Cut bytes into lines of text: the part that reads nothing."""

import codecs
from typing import Final, final

__all__ = ("Cutter", "end_of_lines")


@final
class Cutter:
    """Knows the encoding of a text, and turns whole lines of it into `str`.

    Args:
        encoding: Of the text.
        errors: What to do about bytes that are not text.

    Raises:
        LookupError: There is no such encoding, or no such way with errors.
        ValueError: The end of line is not the byte 10 in it.
    """

    __slots__ = ("_encoding", "_errors")

    def __init__(self, encoding: str, errors: str) -> None:
        codecs.lookup_error(errors)
        try:
            # UTF-16 has other bytes 10, and one with a mark would write it each time.
            is_fit = (
                "a\n\N{KATAKANA LETTER A}".encode(encoding, "replace")[:2] == b"a\n"
            )
        except UnicodeError:
            is_fit = False
        if not is_fit:
            raise ValueError(
                f"encoding {encoding!r} does not end lines by the byte 10; "
                "read the file as a whole and decode it"
            )
        self._encoding = encoding
        self._errors = errors

    def __repr__(self) -> str:
        return f"<Cutter of {self._encoding}>"

    def cut(self, piece: memoryview) -> tuple[list[str], bool]:
        r"""Cut whole lines.

        Args:
            piece: Lines, each with its end `\n` or `\r\n`.

        Returns:
            The lines without their ends, and whether these are all: they are fewer,
            and at least one, when a later line is not text.

        Raises:
            UnicodeDecodeError: The first line is not text.
        """
        try:
            text = str(piece, self._encoding, self._errors)
        except UnicodeDecodeError:
            return self._cut_slowly(bytes(piece)), False
        if "\r" in text:
            text = text.replace("\r\n", "\n")
        lines = text.split("\n")
        lines.pop()
        return lines, True

    def _cut_slowly(self, piece: bytes) -> list[str]:
        lines: list[str] = []
        for line in piece.split(b"\n")[:-1]:
            try:
                text = line.decode(self._encoding, self._errors)
            except UnicodeDecodeError:
                if not lines:
                    raise
                break
            lines.append(text.removesuffix("\r"))
        return lines

    def last(self, rest: bytes) -> str:
        """Decode a last line that has no end.

        Args:
            rest: Its bytes.

        Returns:
            The line.
        """
        return rest.decode(self._encoding, self._errors)


_LINE_ENDS: Final = b"\n"


def end_of_lines(data: bytes, at: int, count: int) -> int:
    """Find where a number of lines end.

    Args:
        data: Lines with their ends.
        at: Where the first begins.
        count: How many.

    Returns:
        Where they end.
    """
    for _ in range(count):
        at = data.index(_LINE_ENDS, at) + 1
    return at
