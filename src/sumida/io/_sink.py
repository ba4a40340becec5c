"""What an engine may hand its bytes to, in the place of a reader."""

from typing import Protocol

__all__ = ("Sink",)


class Sink(Protocol):
    """What may take the place of a reader."""

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""

    def end(self) -> None:
        """Note that the peer has ended its side."""

    def lose(self, error: BaseException | None, what: str) -> None:
        """Note that a connection broke: `what`, by `error`."""

    def go_on(self) -> None:
        """Note that there is room to write again."""
