"""The ends of a watch: closed, collected, refused."""

import asyncio
import gc

import pytest

from sumida.channels import watch
from sumida.errors import Closed, WrongLoopError
from sumida.testing import turns
from tests.support import Run


def test_the_end_comes_after_the_last_value(run: Run) -> None:
    """`changed` gives what was not seen, then Closed; the value stays to be seen."""

    async def main() -> list[object]:
        tx, rx = watch.channel(1)
        other = tx.clone()
        tx.send(2)
        tx.close()
        tx.close()
        await rx.changed()
        task = asyncio.ensure_future(rx.changed())
        await turns()
        waits = not task.done()
        other.send(3)
        other.close()
        await task
        with pytest.raises(Closed):
            await rx.changed()
        with pytest.raises(Closed):
            rx.has_changed()
        return [waits, rx.borrow()]

    assert run(main) == [True, 3]


def test_closed_waits_until_nobody_watches(run: Run) -> None:
    """Closed, or collected."""

    async def main() -> bool:
        tx, rx = watch.channel(1)
        task = asyncio.ensure_future(tx.closed())
        await turns()
        waits = not task.done()
        del rx
        gc.collect()
        await task
        tx.close()
        with pytest.raises(Closed):
            tx.send_replace(1)
        return waits

    assert run(main)


def test_closed_can_be_waited_for_again(run: Run) -> None:
    """With the same operation, when somebody watches again."""

    async def main() -> list[bool]:
        with watch.channel(1)[0] as tx:
            closed = tx.closed()
            waited: list[bool] = []
            for _ in range(2):
                rx = tx.subscribe()
                task = asyncio.ensure_future(closed)
                await turns()
                waited.append(not task.done())
                rx.close()
                await task
            return waited

    assert run(main) == [True, True]


def test_a_collected_sender_closes_with_a_warning(run: Run) -> None:
    """The last one wakes who waits for a change."""

    async def main() -> None:
        tx, rx = watch.channel(1)
        other = tx.clone()
        task = asyncio.ensure_future(rx.changed())
        await turns()
        with pytest.warns(ResourceWarning, match=r"Sender version 0.*without being"):
            del other
        await turns()
        assert not task.done()
        with pytest.warns(ResourceWarning, match="without being closed"):
            del tx
        with pytest.raises(Closed):
            await task

    run(main)


@pytest.mark.parametrize("call", ["send", "close", "receiver", "last receiver"])
def test_another_thread_is_refused_and_changes_nothing(run: Run, call: str) -> None:
    """While a task waits for a change, or for the receivers to go."""

    async def main() -> int:
        tx, rx = watch.channel(1)
        waits_for_end = call == "last receiver"
        changing = asyncio.ensure_future(turns() if waits_for_end else rx.changed())
        closing = asyncio.ensure_future(tx.closed())
        await turns()

        def abroad() -> None:
            with pytest.raises(WrongLoopError):
                if call == "send":
                    tx.send(2)
                elif call == "close":
                    tx.close()
                else:
                    rx.close()

        await asyncio.to_thread(abroad)
        assert (tx.borrow(), tx.sender_count, tx.receiver_count) == (1, 1, 1)
        tx.send(3)
        await changing
        rx.close()
        await closing
        tx.close()
        return rx.borrow()

    assert run(main) == 3


def test_a_receiver_that_goes_wakes_no_other(run: Run) -> None:
    """Of many that wait only the one that was closed looks for itself."""

    async def main() -> list[bool]:
        tx, rx = watch.channel(1)
        receivers = [rx, rx.clone(), rx.clone()]
        tasks = [asyncio.ensure_future(one.changed()) for one in receivers]
        await turns()
        waiters = [one._changed._waiter for one in receivers]
        waits = [waiter.future for waiter in waiters if waiter is not None]
        receivers[1].close()
        woken = [wait.done() for wait in waits if wait is not None]
        with pytest.raises(Closed, match="receiver"):
            await tasks[1]
        tx.send(2)
        await tasks[0]
        await tasks[2]
        tx.close()
        return woken

    assert run(main) == [False, True, False]


@pytest.mark.parametrize("waits", [False, True])
def test_a_receiver_that_is_collected_ends_its_own_wait(
    run: Run, *, waits: bool
) -> None:
    """The operation alone does not keep it, and must not wait for ever."""

    async def main() -> int:
        with watch.channel(1)[0] as tx:
            rx = tx.subscribe()
            changed = rx.changed()
            if waits:
                task = asyncio.ensure_future(changed)
                await turns()
                del rx
            else:
                del rx
                task = asyncio.ensure_future(changed)
            with pytest.raises(Closed, match="receiver is closed"):
                await task
            return tx.receiver_count

    assert run(main) == 0
