"""An operation that waits for the first of several others."""

from asyncio import Future
from collections.abc import Sequence
from functools import partial
from typing import Generic, TypeVar

from sumida.errors import BusyError
from sumida.operation import Operation

__all__ = ("JointOperation",)

T_co = TypeVar("T_co", covariant=True)


class JointOperation(Operation[T_co], Generic[T_co]):
    """Wakes when one of its parts would; a subclass writes `poll`, and asks them.

    Where that takes effect, it calls `disarm` first.
    """

    __slots__ = ("_armed", "_inner")

    def __init__(self) -> None:
        self._inner: Future[object] | None = None
        self._armed: list[Operation[object]] = []

    def waiting_parts(self) -> Sequence[Operation[object]]:
        """Give those to wait for.

        Returns:
            One or more.
        """
        raise NotImplementedError

    def arm(self, future: Future[object]) -> object:
        """Arm the parts; see `Operation.arm`.

        Args:
            future: As there.

        Returns:
            The operation itself.

        Raises:
            BusyError: Another task waits with it.
        """
        if self._inner is not None:
            raise BusyError(
                f"{self!r} is awaited by two tasks at once", "let one task do it"
            )
        # A future of their own: what they set it with is no token of this operation.
        self._inner = inner = future.get_loop().create_future()
        try:
            for part in self.waiting_parts():
                part.arm(inner)
                self._armed.append(part)
        except BaseException:
            self.disarm()
            raise
        inner.add_done_callback(partial(self._pass_on, future))
        return self

    def _pass_on(self, future: Future[object], inner: Future[object]) -> None:
        if not inner.cancelled() and not future.done():
            future.set_result(self)

    def disarm(self) -> None:
        """Disarm the parts; see `Operation.disarm`."""
        inner, self._inner = self._inner, None
        if inner is None:
            return
        inner.cancel()
        for part in self._armed:
            part.disarm()
        self._armed.clear()
