"""Each handle of a channel is closed by leaving its block, `with` or `async with`."""

from collections.abc import Callable
from typing import Any

import pytest

from sumida.channels import broadcast, mpsc, oneshot, watch
from sumida.errors import Closed
from tests.support import Run


def _broadcast() -> tuple[broadcast.Sender[int], broadcast.Receiver[int]]:
    tx: broadcast.Sender[int] = broadcast.channel(1)
    return tx, tx.subscribe()


KINDS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "mpsc": lambda: mpsc.channel(1),
    "unbounded": mpsc.unbounded_channel,
    "oneshot": oneshot.channel,
    "broadcast": _broadcast,
    "watch": lambda: watch.channel(1),
}


async def leave(handle: Any, *, plainly: bool) -> None:  # noqa: ANN401  # both protocols
    """Enter a block of it, and leave it."""
    if plainly:
        with handle as entered:
            assert entered is handle
    else:
        async with handle as entered:
            assert entered is handle


@pytest.mark.parametrize("plainly", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_leaving_a_block_closes(run: Run, kind: str, *, plainly: bool) -> None:
    """The receiver's wakes its sender, the sender's its receiver."""

    async def main() -> None:
        tx, rx = KINDS[kind]()
        await leave(rx, plainly=plainly)
        await tx.closed()
        rx.close()
        tx.close()
        tx, rx = KINDS[kind]()
        await leave(tx, plainly=plainly)
        with pytest.raises(Closed):
            await (rx.changed() if kind == "watch" else rx.recv())
        tx.close()

    run(main)
