"""select refuses what can only be a mistake, and leaves nothing behind."""

import asyncio
import gc
from collections.abc import Awaitable

import pytest

from sumida import select
from sumida.channels import mpsc
from sumida.errors import BusyError, MisuseError, WrongLoopError
from tests.core.support import started
from tests.runtime.branches import Awaited, Flags, Recorder, value_of
from tests.support import Run


def test_no_branch_is_refused() -> None:
    """There would be nothing to wait for."""
    with pytest.raises(TypeError, match="at least one branch"):
        _ = select()
    with pytest.raises(TypeError, match="one or more"):
        select.loop()


def test_positions_and_names_do_not_mix() -> None:
    """Told at the call; the coroutines are closed, and nobody complains of them."""
    with pytest.raises(TypeError, match="by position or by name"):
        select(value_of(1), b=value_of(2))  # type: ignore[call-overload]  # the misuse
    with pytest.raises(TypeError, match="by position or by name"):
        select.loop(value_of(1), b=value_of(2))  # type: ignore[call-overload]  # the misuse

    gc.collect()


@pytest.mark.parametrize("thing", [42, None, "rx", object, value_of])
def test_what_cannot_be_awaited_is_refused(run: Run, thing: Awaitable[int]) -> None:
    """The message names the branch and the value; coroutines are closed."""

    async def main() -> None:
        tx, rx = mpsc.channel(1)
        with tx:
            await tx.send(1)
            with pytest.raises(TypeError, match="branch 3"):
                await select(rx, value_of(1), Awaited(), thing)
            with pytest.raises(TypeError, match="branch 'bad'"):
                await select(good=value_of(1), bad=thing)
            with pytest.raises(TypeError, match="branch 'bad'"):
                select.loop(good=rx, bad=thing)  # type: ignore[call-overload]  # the misuse
            assert await rx.recv() == 1

    run(main)
    gc.collect()


def test_one_object_twice_is_refused(run: Run) -> None:
    """A coroutine runs once, an operation waits once."""

    async def main() -> None:
        tx, rx = mpsc.channel(1)
        with tx:
            coroutine = value_of(1)
            with pytest.raises(MisuseError, match="two of its branches"):
                await select(coroutine, coroutine)
            with pytest.raises(MisuseError, match="two of its branches"):
                await select(rx, rx.recv())
            with pytest.raises(MisuseError, match="two of its branches"):
                await select(a=rx, b=value_of(1), c=rx.recv())
            with pytest.raises(MisuseError, match="two of its branches"):
                select.loop(rx, rx)
            future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            with pytest.raises(MisuseError, match="two of its branches"):
                await select(future, future)
            source = Flags()
            with pytest.raises(MisuseError, match="two of its branches"):
                await select(source, source.operation())

    run(main)
    gc.collect()


def test_an_operation_that_another_task_awaits_is_refused(run: Run) -> None:
    """The select leaves its other branches as they were."""

    async def main() -> object:
        a_tx, a = mpsc.channel(1)
        b_tx, b = mpsc.channel(1)
        with a_tx, b_tx:
            receiving = await started(b.recv())
            with pytest.raises(BusyError):
                await select(a, b)
            with pytest.raises(BusyError):
                await select(a, Recorder().wait(), b)
            racing = await started(select(a))
            a_tx.try_send("a")
            b_tx.try_send("b")
            return await racing, await receiving

    assert run(main) == ((0, "a"), "b")


def test_a_future_of_another_loop_is_refused(run: Run) -> None:
    """It could not wake this one; in its place among others none is left armed."""

    async def main() -> bool:
        other = asyncio.new_event_loop()
        tx: mpsc.Sender[int]
        tx, rx = mpsc.channel(1)
        with tx:
            future = other.create_future()
            with pytest.raises(WrongLoopError, match="outside of its own event loop"):
                await select(rx, future)
            with pytest.raises(WrongLoopError):
                await select(value_of(1), future)
            future.set_result(2)
            assert await select(future) == (0, 2)
            tx.try_send(3)
            assert await rx.recv() == 3
        other.close()
        return True

    assert run(main)


def test_a_loop_says_whether_a_branch_can_be_awaited_at_all(run: Run) -> None:
    """What can be awaited once is another mistake than what cannot."""

    async def main() -> None:
        with pytest.raises(TypeError, match="which cannot be awaited"):
            select.loop(5)  # type: ignore[call-overload]  # the mistake
        with pytest.raises(TypeError, match="only once"):
            select.loop(value_of(1))  # type: ignore[call-overload]  # the mistake

    run(main)


def test_a_task_cannot_wait_for_itself(run: Run) -> None:
    """As `await` refuses it; else it would wait for ever."""

    async def main() -> bool:
        own = asyncio.current_task()
        assert own is not None
        with pytest.raises(MisuseError, match="would wait for itself"):
            await select(asyncio.get_running_loop().create_future(), own)
        return True

    assert run(main)
