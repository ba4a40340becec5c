"""What must be done before the process ends without its usual end.

`os._exit` runs no `finally` and no `atexit`. Who holds what outlives the process (the
state of a terminal, child processes) says here how to let go of it, and whoever ends
the process by force calls all of that first.
"""

from collections.abc import Callable
from typing import Final

__all__ = ("before_forced_exit", "let_go")

_callbacks: Final[list[Callable[[], object]]] = []


def before_forced_exit(callback: Callable[[], object]) -> Callable[[], None]:
    """Have `callback` called before the process is ended by force.

    Args:
        callback: Called on any thread, at any moment; it must not wait, nor take a
            lock that another thread may hold.

    Returns:
        What takes it back; calling that twice does no harm.
    """
    _callbacks.append(callback)

    def take_back() -> None:
        if callback in _callbacks:
            _callbacks.remove(callback)

    return take_back


def let_go() -> list[BaseException]:
    """Call all of them, the latest first, whatever they raise.

    Returns:
        What they raised.
    """
    errors: list[BaseException] = []
    for callback in reversed(tuple(_callbacks)):
        try:
            callback()
        except BaseException as error:  # noqa: BLE001  # the others must have their turn
            errors.append(error)
    return errors
