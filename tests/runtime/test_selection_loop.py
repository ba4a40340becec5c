"""select.loop: the same race again and again."""

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest

from sumida import select
from sumida.channels import mpsc, oneshot
from sumida.errors import Closed
from tests.core.support import cancelled, started, turns
from tests.runtime.branches import Awaited, value_of
from tests.support import Run


@pytest.mark.parametrize(
    "make", [lambda: value_of(1), Awaited], ids=["coroutine", "awaitable"]
)
def test_a_loop_refuses_what_runs_once(
    run: Run, make: Callable[[], Awaitable[object]]
) -> None:
    """A coroutine is done after its first turn."""

    async def main() -> None:
        tx, rx = mpsc.channel(1)
        with tx, pytest.raises(TypeError, match="only once"):
            select.loop(rx, value_of(2), make())  # type: ignore[call-overload]  # the misuse

    run(main)
    gc.collect()


def test_a_loop_drops_branches_that_close_and_ends_with_the_last(run: Run) -> None:
    """Every message of every branch is given, each by its name."""

    async def main() -> list[tuple[str, int]]:
        a_tx, a = mpsc.channel(10)
        b_tx, b = mpsc.channel(10)
        await a_tx.send_many([1, 2])
        await b_tx.send_many([3, 4, 5])
        a_tx.close()

        async def close_later() -> None:
            await turns(20)
            await b_tx.send(6)
            b_tx.close()

        closing = asyncio.create_task(close_later())
        given = [pair async for pair in select.loop(a=a, b=b)]
        await closing
        return given

    given = run(main)

    assert [value for name, value in given if name == "a"] == [1, 2]
    assert [value for name, value in given if name == "b"] == [3, 4, 5, 6]
    assert len(given) == 6


def test_a_loop_by_position_keeps_its_numbers(run: Run) -> None:
    """The index is that of the call, also after a branch was dropped."""

    async def main() -> list[tuple[int, int]]:
        channels = [mpsc.channel(4) for _ in range(3)]
        for n, (tx, _) in enumerate(channels):
            await tx.send_many([n] * (n + 1))
            tx.close()
        return [
            pair async for pair in select.loop(*(rx for _, rx in channels), biased=True)
        ]

    assert run(main) == [(0, 0), (1, 1), (1, 1), (2, 2), (2, 2), (2, 2)]


def test_a_loop_gives_a_future_once(run: Run) -> None:
    """A task or future is delivered once, then dropped."""

    async def main() -> list[object]:
        tx, rx = mpsc.channel(3)
        await tx.send_many([1, 2])
        task = asyncio.create_task(value_of("task"))
        given = []
        async for pair in select.loop(msg=rx, task=task):
            given.append(pair)
            if len(given) == 3:
                tx.close()
        return sorted(given, key=str)

    assert run(main) == [("msg", 1), ("msg", 2), ("task", "task")]


@pytest.mark.parametrize("error", [ValueError("failed"), Closed("elsewhere")])
def test_a_loop_gives_the_error_of_a_task_once(run: Run, error: Exception) -> None:
    """It is raised, not swallowed, and the loop can be taken up again."""

    async def fail() -> None:
        raise error

    async def main() -> list[object]:
        tx, rx = mpsc.channel(3)
        task = asyncio.create_task(fail())
        await turns()
        loop = select.loop(msg=rx, task=task)
        with pytest.raises(type(error)):
            await anext(loop)
        await tx.send(1)
        tx.close()
        return [pair async for pair in loop]

    assert run(main) == [("msg", 1)]


@pytest.mark.parametrize("answers", [True, False])
def test_a_loop_gives_an_answer_once(run: Run, answers: bool) -> None:
    """A oneshot receiver, or its end; and what is sent within a loop is sent once."""

    async def main() -> tuple[list[tuple[str, object]], list[int]]:
        answer, asked = oneshot.channel()
        tx, rx = mpsc.channel(3)
        if answers:
            answer.send(1)
        else:
            answer.close()
        with tx:
            loop = select.loop(
                asked=asked, one=tx.send(2), many=tx.send_many([3, 4]), biased=True
            )
            given = [pair async for pair in loop]
        return given, [item async for item in rx]

    given, sent = run(main)

    asked = [("asked", 1)] if answers else []
    assert given == [*asked, ("one", None), ("many", None)]
    assert sent == [2, 3, 4]


def test_a_cancelled_loop_can_be_taken_up_again(run: Run) -> None:
    """A turn that is cancelled takes nothing."""

    async def main() -> list[object]:
        tx, rx = mpsc.channel(3)
        loop = select.loop(rx)
        turn = await started(anext(loop))
        tx.try_send(1)
        assert await cancelled(turn)
        tx.close()
        return [pair async for pair in loop]

    assert run(main) == [(0, 1)]


def test_repr_of_a_loop_tells_its_branches(run: Run) -> None:
    """Names, and whether it is biased."""

    async def main() -> str:
        tx, rx = mpsc.channel(1)
        with tx:
            return repr(select.loop(msg=rx, stop=tx.closed(), biased=True))

    assert run(main) == "<SelectLoop msg, stop, biased>"
