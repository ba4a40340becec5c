"""What was read and not taken: where a cancelled read leaves what it has read."""

from collections import deque
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

    They are not joined until that is needed, and where a line crosses from one to the
    next only the line is: what is big is not copied.

    Attributes:
        data: The first block.
        at: How much of it was taken.
        blocks: Those after it.
        hold: Who has cut a piece out of `data`, from `at` on.
        total: Bytes that were ever kept.
    """

    __slots__ = ("_begun", "_later", "at", "blocks", "data", "hold", "total")

    def __init__(self) -> None:
        self.data = b""
        self.at = 0
        self.blocks: deque[bytes] = deque()
        # Bytes in `blocks` that are not in `data` too; how many of the first are.
        self._later = 0
        self._begun = 0
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

    def advance(self) -> None:
        """Go on to the next block, which there must be.

        Where a part of the first is left, only the end of its last line is put to it.
        """
        block, begun = self.blocks[0], self._begun
        if self.at == len(self.data):
            self.data, self.at = block, begun
            end = len(block)
        else:
            end = block.find(b"\n", begun) + 1 or len(block)
            self.data = self.data[self.at :] + block[begun:end]
            self.at = 0
        self._later -= end - begun
        if end == len(block):
            self.blocks.popleft()
            end = 0
        self._begun = end

    def join(self) -> None:
        """Make one block of all, with nothing taken."""
        if self.blocks or self.at:
            parts = [self.data[self.at :], *self.blocks]
            if self._begun:
                parts[1] = parts[1][self._begun :]
            self.data = b"".join(parts)
            self.blocks.clear()
            self.at = self._later = self._begun = 0

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
        self.at = self._later = self._begun = 0
        return count
