"""The block of what has to be closed."""

from abc import abstractmethod
from types import TracebackType
from typing import Self

__all__ = ("ClosingBlock",)


class ClosingBlock:
    """Something that is closed at the end of its block, `with` or `async with`."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Close it; closing twice does no harm."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
