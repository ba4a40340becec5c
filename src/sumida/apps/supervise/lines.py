"""Cut the output of a process into lines, whatever bytes it writes: pure."""

from typing import Final, final

__all__ = ("MAX_LINE", "Lines", "readable")

MAX_LINE: Final = 16_384
"""The longest line that is kept together, in bytes; a longer one is cut in pieces."""

_CONTINUATION = 0b1000_0000
_CONTINUATION_MASK = 0b1100_0000
_LONGEST_CHARACTER = 4


@final
class Lines:
    """Bytes in, lines out.

    Args:
        limit: The longest line, in bytes, 8 or more.
    """

    __slots__ = ("_limit", "_rest")

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._rest = bytearray()

    def __repr__(self) -> str:
        return f"<Lines {len(self._rest)}/{self._limit} bytes of a line>"

    def feed(self, data: bytes) -> list[str]:
        """Take what was read.

        Args:
            data: Any bytes.

        Returns:
            The lines that are whole now, without their ends, and the pieces of one
            that is too long.
        """
        end = data.rfind(b"\n")
        if end < 0:
            lines: list[str] = []
            self._extend(data, lines)
            return lines
        whole = bytes(self._rest) + data[:end]
        self._rest.clear()
        parts = whole.split(b"\n")
        if max(map(len, parts)) <= self._limit:
            # All at once. A line feed is never a part of another character.
            lines = readable(whole).split("\n")
            if b"\r" in whole:
                lines = [line.removesuffix("\r") for line in lines]
        else:
            lines = []
            for part in parts:
                self._extend(part, lines)
                # After a piece of exactly the limit there is no empty line.
                lines.append(self._take(len(self._rest)))
        self._extend(data[end + 1 :], lines)
        return lines

    def finish(self) -> list[str]:
        """Give the last line, if it has no end.

        Returns:
            It, or nothing.
        """
        return [self._take(len(self._rest))] if self._rest else []

    def _extend(self, part: bytes, lines: list[str]) -> None:
        rest = self._rest
        rest += part
        while len(rest) > self._limit:
            lines.append(self._take(self._cut()))

    def _cut(self) -> int:
        """Find where the longest piece ends that does not split a character."""
        rest = self._rest
        for place in range(self._limit, self._limit - _LONGEST_CHARACTER, -1):
            if rest[place] & _CONTINUATION_MASK != _CONTINUATION:
                return place
        return self._limit

    def _take(self, size: int) -> str:
        piece = bytes(self._rest[:size])
        del self._rest[:size]
        return readable(piece.removesuffix(b"\r"))


def readable(data: bytes) -> str:
    r"""Decode UTF-8; what is none stays readable, as `\xff`.

    Args:
        data: Any bytes.

    Returns:
        The text.
    """
    return data.decode(errors="backslashreplace")
