"""What the tests of codecs share: bytes that come in pieces, and what they become."""

from collections.abc import Callable, Iterable, Sequence
from typing import final

from hypothesis import strategies as st

from sumida.errors import FrameError, IncompleteReadError
from sumida.net import Decoder

__all__ = ("SIZES", "Bad", "fed")

SIZES = st.lists(st.integers(0, 9), max_size=60)
"""The sizes of pieces in which bytes come."""


@final
class Bad:
    """An error, told by its type alone: how much had come differs with the pieces."""

    def __init__(self, error: type[Exception]) -> None:
        self.name = error.__name__

    def __repr__(self) -> str:
        return f"Bad({self.name})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bad) and other.name == self.name

    __hash__ = None  # type: ignore[assignment]  # as for any class with `__eq__` alone


def fed(
    decoder: Decoder[object],
    data: bytes,
    sizes: Iterable[int] = (),
    *,
    decode_all: Callable[[bytes], tuple[Sequence[object], int]] | None = None,
) -> list[object]:
    """Give bytes to a decoder as a stream would, and its end.

    Args:
        decoder: The decoder.
        data: All bytes.
        sizes: Of the pieces in which they come; the rest comes as one.
        decode_all: The decoder's own, to be used as `Framed` does.

    Returns:
        Messages and errors. An error that comes again and again is the last.
    """
    buffer = bytearray()
    events: list[object] = []
    for size in (*sizes, len(data)):
        buffer += data[:size]
        data = data[size:]
        if not _drain(decoder.decode, decode_all, buffer, events):
            return events
    _drain(decoder.decode_eof, None, buffer, events)
    return events


def _drain(
    decode: Callable[[bytearray], object | None],
    decode_all: Callable[[bytes], tuple[Sequence[object], int]] | None,
    buffer: bytearray,
    events: list[object],
) -> bool:
    is_stuck = False
    while True:
        size = len(buffer)
        try:
            frame = decode(buffer)
        except (FrameError, IncompleteReadError) as error:
            took_nothing = len(buffer) == size
            if took_nothing and is_stuck:
                return False
            is_stuck = took_nothing
            events.append(Bad(type(error)))
            continue
        is_stuck = False
        if frame is None:
            return True
        events.append(frame)
        if decode_all is not None:
            frames, used = decode_all(bytes(buffer))
            events += frames
            del buffer[:used]
