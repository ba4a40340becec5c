"""What was read and not taken: where a cancelled read leaves what it has read."""

from collections import deque
from collections.abc import Iterable
from typing import Protocol, final

__all__ = ("Ahead", "Hold")


class Hold(Protocol):
    """Somebody who has cut a piece out, and handed out a part of it."""

    def let_go(self) -> int:
        """Give up what was not handed out.

        Returns:
            How many bytes were handed out.
        """
        ...


@final
class Ahead:
    """Bytes in blocks: the one that is being taken, and those that were read after it.

    They are not joined until that is needed: what is big is not copied, and the text
    of a block stays in the processor's cache while it is cut into lines.

    Attributes:
        data: The first block.
        at: How much of it was taken.
        blocks: Those after it.
        hold: Who has cut a piece out of `data`, from `at` on.
        total: Bytes that were ever kept.
    """

    __slots__ = ("_later", "at", "blocks", "data", "hold", "total")

    def __init__(self) -> None:
        self.data = b""
        self.at = 0
        self.blocks: deque[bytes] = deque()
        self._later = 0
        self.hold: Hold | None = None
        self.total = 0

    def __len__(self) -> int:
        return len(self.data) - self.at + self._later

    def __repr__(self) -> str:
        return f"<Ahead of {len(self)} bytes>"

    def settle(self) -> None:
        """Take back what was cut out and not handed out."""
        hold, self.hold = self.hold, None
        if hold is not None:
            self.at += hold.let_go()

    def keep(self, data: bytes) -> None:
        """Put what was read behind the rest.

        Args:
            data: The bytes; none at the end of the file.
        """
        self.total += len(data)
        if self.at == len(self.data) and not self.blocks:
            self.data = data
            self.at = 0
        elif data:
            self.blocks.append(data)
            self._later += len(data)

    def keep_all(self, blocks: Iterable[bytes]) -> None:
        """Put several blocks behind the rest.

        Args:
            blocks: The blocks.
        """
        for block in blocks:
            self.keep(block)

    def advance(self) -> None:
        """Put the rest of the first block before the next one, which there must be."""
        block = self.blocks.popleft()
        self._later -= len(block)
        self.data = self.data[self.at :] + block if self.at < len(self.data) else block
        self.at = 0

    def join(self) -> None:
        """Make one block of all, with nothing taken."""
        if self.blocks or self.at:
            self.data = b"".join([self.data[self.at :], *self.blocks])
            self.blocks.clear()
            self.at = self._later = 0

    def take(self, limit: int) -> bytes:
        """Take some of it.

        Args:
            limit: How many bytes at most; there may be fewer.

        Returns:
            The bytes.
        """
        if self.at == len(self.data) and self.blocks:
            self.advance()
        start, left = self.at, len(self.data) - self.at
        if start == 0 and left <= limit:
            data, self.data = self.data, b""
            return data
        self.at = start + min(limit, left)
        return self.data[start : self.at]

    def forget(self) -> int:
        """Drop all of it.

        Returns:
            How many bytes that was.
        """
        count = len(self)
        self.data = b""
        self.blocks.clear()
        self.at = self._later = 0
        return count
