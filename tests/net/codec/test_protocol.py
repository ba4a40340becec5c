"""A codec of one's own: what it need not write."""

import pytest

from sumida.errors import IncompleteReadError
from sumida.net import Codec
from tests.net.codec.feeding import Bad, fed


class Pairs(Codec[bytes, bytes]):
    """Two bytes each."""

    def decode(self, buffer: bytearray) -> bytes | None:
        """Take two."""
        if len(buffer) < 2:
            return None
        pair = bytes(buffer[:2])
        del buffer[:2]
        return pair

    def encode(self, frame: bytes) -> bytes:
        """Give them."""
        return frame


def test_the_end_within_a_message_is_an_error() -> None:
    """Unless it is written otherwise; what came of it is told, and taken."""
    assert fed(Pairs(), b"abcde") == [b"ab", b"cd", Bad(IncompleteReadError)]
    assert fed(Pairs(), b"abcd") == [b"ab", b"cd"]
    buffer = bytearray(b"e")
    with pytest.raises(IncompleteReadError) as caught:
        Pairs().decode_eof(buffer)

    assert caught.value.partial == b"e"
    assert not buffer
