"""Frames that begin with their length."""

import sys
from collections.abc import Callable
from itertools import chain
from struct import Struct, iter_unpack
from typing import Final, Literal, TypeAlias, final

from sumida.errors import FrameTooLargeError, IncompleteReadError, InvalidFrameError
from sumida.net.codec._pieces import as_bytes, check_int
from sumida.net.codec.protocol import Codec

__all__ = ("FieldOrder", "LengthDelimitedCodec")

FieldOrder: TypeAlias = Literal["big", "little", "native"]

_MAX_FRAME_LENGTH: Final = 8 * 1024 * 1024
_MAX_FIELD_LENGTH: Final = 8
_WORTHWHILE: Final = 8
"""Frames of one size in a row, below which looking for more does not pay."""

_FORMATS: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}


@final
class LengthDelimitedCodec(Codec[bytes, bytes | bytearray | memoryview]):
    """Frames of bytes, each after a head in which its length stands.

    The head is `length_field_offset` bytes of anything, and then the length, an integer
    without a sign; as it is set, four bytes, the highest first. `encode` writes the
    length only: a frame that is given to it begins with what else stands behind that.

    Args:
        max_frame_length: The largest length, in bytes, 0 or more. What stands in the
            head is checked before `length_adjustment`; made smaller if a frame of
            that size had a length that does not fit into the field.
        length_field_offset: Bytes of the head before the length, 0 or more; only to
            decode.
        length_field_length: Bytes of the length, 1 to 8.
        length_adjustment: What is to be added to the length in the head to get that of
            the frame: -4 if the length counts its own four bytes.
        num_skip: Bytes of the head that are not given with the frame, 0 or more; only
            to decode. The offset and the length by default; 0 keeps the head.
        byte_order: Which byte of the length comes first: "big" the highest, "little"
            the lowest, "native" as this machine has it.

    Raises:
        TypeError: One of the numbers is no int.
        ValueError: One of them is out of range.

    Source:
        `tokio_util::codec::LengthDelimitedCodec`
    """

    __slots__ = (
        "_adjustment",
        "_field_length",
        "_head_length",
        "_in_flight",
        "_least",
        "_max_frame_length",
        "_offset",
        "_order",
        "_pack",
        "_skip",
        "_unpack_from",
    )

    def __init__(  # noqa: PLR0913  # each is a setting
        self,
        max_frame_length: int = _MAX_FRAME_LENGTH,
        *,
        length_field_offset: int = 0,
        length_field_length: int = 4,
        length_adjustment: int = 0,
        num_skip: int | None = None,
        byte_order: FieldOrder = "big",
    ) -> None:
        self._offset = check_int("length_field_offset", length_field_offset, 0)
        size = check_int(
            "length_field_length", length_field_length, 1, _MAX_FIELD_LENGTH
        )
        self._field_length = size
        self._adjustment = check_int(
            "length_adjustment", length_adjustment, -sys.maxsize
        )
        end = self._offset + size
        self._skip = end if num_skip is None else check_int("num_skip", num_skip, 0)
        self._head_length = max(end, self._skip)
        # A frame takes at least one byte off the buffer.
        self._least = 0 if self._skip else 1
        if byte_order not in {"big", "little", "native"}:
            raise ValueError(
                f'byte_order must be "big", "little" or "native", not {byte_order!r}'
            )
        self._order: Literal["big", "little"] = (
            sys.byteorder if byte_order == "native" else byte_order
        )
        self._pack, self._unpack_from = _field(size, self._order)
        self.max_frame_length = max_frame_length
        # The length of the frame whose head was taken, and which has not come yet.
        self._in_flight: int | None = None

    def __repr__(self) -> str:
        skip = "" if self._skip == self._offset + self._field_length else self._skip
        settings = {
            "length_field_offset": self._offset,
            "length_field_length": self._field_length,
            "length_adjustment": self._adjustment,
            "num_skip": skip,
            "byte_order": self._order,
        }
        usual = {
            "length_field_offset": 0,
            "length_field_length": 4,
            "length_adjustment": 0,
            "num_skip": "",
            "byte_order": "big",
        }
        others = "".join(
            f", {name}={value!r}"
            for name, value in settings.items()
            if value != usual[name]
        )
        return f"LengthDelimitedCodec({self._max_frame_length}{others})"

    @property
    def max_frame_length(self) -> int:
        """The largest length; a new one holds from the next head that is looked at."""
        return self._max_frame_length

    @max_frame_length.setter
    def max_frame_length(self, value: int) -> None:
        wanted = check_int("max_frame_length", value, 0)
        fits = (1 << 8 * self._field_length) - 1 + self._adjustment
        self._max_frame_length = max(0, min(wanted, fits))

    def decode(self, buffer: bytearray) -> bytes | None:
        """Take the next frame.

        Args:
            buffer: What has arrived.

        Returns:
            The frame, or None when more must come.

        Raises:
            FrameTooLargeError: Its length is above the limit. Nothing was taken: where
                the next frame begins is not known, so the stream is of no use any more.
            InvalidFrameError: Its length is less than 0 after the adjustment, or it
                and its head have no bytes; nothing was taken.
        """
        length = self._in_flight
        if length is None:
            if len(buffer) < self._head_length:
                return None
            length = self._length(buffer, self._unpack_from(buffer, self._offset)[0])
            end = self._skip + length
            if len(buffer) >= end:
                frame = bytes(memoryview(buffer)[self._skip : end])
                del buffer[:end]
                return frame
            del buffer[: self._skip]
            self._in_flight = length
            return None
        if len(buffer) < length:
            return None
        self._in_flight = None
        frame = bytes(memoryview(buffer)[:length])
        del buffer[:length]
        return frame

    def _length(self, buffer: bytearray, announced: int) -> int:
        """Check the length in a head, and adjust it."""
        if announced > self._max_frame_length:
            raise FrameTooLargeError("frame", announced, self._max_frame_length)
        length = announced + self._adjustment
        if length < 0:
            head = bytes(memoryview(buffer)[: self._head_length])
            raise InvalidFrameError(
                f"frame announces {announced} bytes, which is less than 0 with the "
                f"adjustment of {self._adjustment}",
                head,
            )
        if length < self._least:
            # It would be found again and again.
            head = bytes(memoryview(buffer)[: self._head_length])
            raise InvalidFrameError(
                "frame has no bytes, and neither has its head", head
            )
        return length

    def decode_eof(self, buffer: bytearray) -> bytes | None:
        """Take the next frame, when no more will come.

        Args:
            buffer: What is left.

        Returns:
            The frame, or None at the end.

        Raises:
            IncompleteReadError: The stream ended within a frame, or its head.
            FrameTooLargeError: As `decode`, and so `InvalidFrameError`.
        """
        frame = self.decode(buffer)
        if frame is None and (buffer or self._in_flight is not None):
            expected, self._in_flight = self._in_flight, None
            partial = bytes(buffer)
            buffer.clear()
            raise IncompleteReadError(partial, expected or self._head_length)
        return frame

    def decode_all(self, data: bytes) -> tuple[list[bytes], int]:
        """Find all frames up to the first that is bad; see `Decoder`.

        Args:
            data: What has arrived.

        Returns:
            The frames, and how many bytes they are.
        """
        frames: list[bytes] = []
        if self._in_flight is not None:
            return frames, 0
        size = len(data)
        skip, offset = self._skip, self._offset
        shift = skip + self._adjustment
        least = self._least - self._adjustment
        most = self._max_frame_length
        last = size - self._head_length
        unpack_from = self._unpack_from
        append = frames.append
        start = 0
        before = -1
        hopes = True
        while start <= last:
            (announced,) = unpack_from(data, start + offset)
            end = start + announced + shift
            if end > size or not least <= announced <= most:
                break
            append(data[start + skip : end])
            if announced == before and hopes:
                # Two of one size: often all are, and that is found at once.
                step, start = end - start, end
                run = self._count_alike(data, start, step, announced)
                alike = memoryview(data)[start : start + run * step]
                unpacked = iter_unpack(f"{skip}x{step - skip}s", alike)
                frames.extend(chain.from_iterable(unpacked))
                start += run * step
                hopes = run >= _WORTHWHILE
            else:
                start = end
                before = announced
        return frames, start

    def _count_alike(self, data: bytes, start: int, step: int, announced: int) -> int:
        """Count the frames from `start` on that are `step` bytes, one after another."""
        count = (len(data) - start) // step
        field = start + self._offset
        for byte in self._pack(announced):
            # Each byte of the length by itself, of all heads at once.
            column = data[field : start + count * step : step]
            count = len(column) - len(column.lstrip(bytes((byte,))))
            field += 1
        return count

    def encode(self, frame: bytes | bytearray | memoryview) -> bytes:
        """Put the length before a frame.

        Args:
            frame: The frame, and what of its head stands behind the length.

        Returns:
            The bytes.

        Raises:
            TypeError: `frame` is no bytes.
            FrameTooLargeError: It is above the limit.
            InvalidFrameError: Its length is less than 0 with the adjustment.
        """
        data = as_bytes(frame)
        size = len(data)
        if size > self._max_frame_length:
            raise FrameTooLargeError("frame", size, self._max_frame_length)
        length = size - self._adjustment
        if length < 0:
            raise InvalidFrameError(
                f"frame of {size} bytes would announce less than 0 with the "
                f"adjustment of {self._adjustment}",
                data,
            )
        return self._pack(length) + data


def _field(
    size: int, order: Literal["big", "little"]
) -> tuple[Callable[[int], bytes], Callable[[bytes | bytearray, int], tuple[int, ...]]]:
    """Give what writes and what reads an integer of `size` bytes."""
    if size in _FORMATS:
        field = Struct((">" if order == "big" else "<") + _FORMATS[size])
        return field.pack, field.unpack_from

    def unpack_from(data: bytes | bytearray, start: int) -> tuple[int, ...]:
        return (int.from_bytes(data[start : start + size], order),)

    return (lambda value: value.to_bytes(size, order)), unpack_from
