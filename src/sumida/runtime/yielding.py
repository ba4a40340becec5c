"""Let the other tasks run."""

from sumida.runtime._branches import TURN

__all__ = ("yield_now",)


async def yield_now() -> None:
    """Give every other task that is ready a turn, then go on.

    Operations of this library do so by themselves once in a while; a long computation
    between them has to be told.

    Cancel safety:
        Safe.

    Source:
        `tokio::task::yield_now`
    """
    await TURN
