"""What type checkers know of select: checked by mypy and pyright, and run."""

import asyncio
from typing import Any, Literal, assert_type

from sumida import CancellationToken, Interval, select
from sumida.channels import mpsc
from sumida.operation import Operation
from sumida.runtime.selection import SelectLoop
from sumida.sync import Notify
from tests.support import Run


def typed_channel() -> tuple[mpsc.Sender[int], mpsc.Receiver[int]]:
    """Make a channel of ints."""
    return mpsc.channel(4)


async def text() -> str:
    """Give a string."""
    return "text"


def test_a_position_narrows_the_value(run: Run) -> None:
    """By position the result is a union of pairs, told apart by the index."""

    async def main() -> tuple[int, str]:
        tx, rx = typed_channel()
        number, word = 0, ""
        with tx:
            await tx.send(1)
            for _ in range(2):
                won = await select(rx, text(), biased=True)
                assert_type(won, tuple[Literal[0], int] | tuple[Literal[1], str])
                match won:
                    case (0, value):
                        assert_type(value, int)
                        number = value
                    case (1, value):
                        assert_type(value, str)
                        word = value
        return number, word

    assert run(main) == (1, "text")


def test_an_index_narrows_too(run: Run) -> None:
    """A comparison of the index is enough."""

    async def main() -> int:
        tx, rx = typed_channel()
        with tx:
            won = await select(rx, text())
            if won[0] == 0:
                assert_type(won[1], int)
                return won[1]
            assert_type(won[1], str)
            return len(won[1])

    assert run(main) == 4


def test_all_kinds_of_branches_have_their_types(run: Run) -> None:
    """Operations, sources, futures, tasks and coroutines."""

    async def main() -> int:
        tx, rx = typed_channel()
        task = asyncio.create_task(text())
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        with tx:
            send = tx.send(1)
            assert_type(send, Operation[None])
            assert_type(rx.recv(), Operation[int])
            assert_type(rx.recv_many(2), Operation[list[int]])
            won = await select(send, rx.recv_many(2), future, task, biased=True)
            assert_type(
                won,
                tuple[Literal[0], None]
                | tuple[Literal[1], list[int]]
                | tuple[Literal[2], bytes]
                | tuple[Literal[3], str],
            )
            alone = await select(rx)
            assert_type(alone, tuple[Literal[0], int])
            await task
        return won[0] + alone[1]

    assert run(main) == 1


def test_many_branches_and_names(run: Run) -> None:
    """Beyond six the values are joined; by name the value is `Any`."""

    async def main() -> tuple[str, object]:
        tx, rx = typed_channel()
        with tx:
            await tx.send(1)
            operations = [rx.recv() for _ in range(1)]
            many = await select(*operations)
            assert_type(many[1], int)
            won = await select(word=text(), number=rx)
            assert_type(won, tuple[str, Any])
            return won

    assert run(main) == ("word", "text")


def test_a_loop_has_the_types_of_its_select(run: Run) -> None:
    """By position each turn is a pair, told apart by the index; by name it is `Any`."""

    async def main() -> list[int | str]:
        tx, rx = typed_channel()
        given: list[int | str] = []
        await tx.send(1)
        tx.close()
        task = asyncio.create_task(text())
        loop = select.loop(rx, task)
        assert_type(loop, SelectLoop[tuple[Literal[0], int] | tuple[Literal[1], str]])
        async for won in loop:
            match won:
                case (0, number):
                    assert_type(number, int)
                    given.append(number)
                case (1, word):
                    assert_type(word, str)
                    given.append(word)
        alike = select.loop(*[Interval(1) for _ in range(2)])
        assert_type(alike, SelectLoop[tuple[int, float]])
        by_name = select.loop(number=rx, word=task)
        assert_type(by_name, SelectLoop[tuple[str, Any]])
        return sorted(given, key=str)

    assert run(main) == [1, "text"]


def test_a_loop_of_six_has_their_types(run: Run) -> None:
    """As many as `select` itself has; more are joined."""

    async def main() -> None:
        (tx, rx), notify = typed_channel(), Notify()
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        with tx:
            loop = select.loop(
                rx, Interval(1), CancellationToken(), notify, future, tx.closed()
            )
            assert_type(
                await anext(loop),
                tuple[Literal[0], int]
                | tuple[Literal[1], float]
                | tuple[Literal[2], None]
                | tuple[Literal[3], None]
                | tuple[Literal[4], bytes]
                | tuple[Literal[5], None],
            )

    run(main)


def test_a_reservation_gives_typed_permits(run: Run) -> None:
    """The type of the channel goes through permits and clones."""

    async def main() -> int:
        tx, rx = typed_channel()
        with tx:
            permit = await tx.reserve()
            assert_type(permit, mpsc.Permit[int])
            permit.send(1)
            permits = await tx.reserve_many(2)
            assert_type(permits, mpsc.Permits[int])
            assert_type(next(permits), mpsc.Permit[int])
            permits.release()
            upgraded = tx.downgrade().upgrade()
            assert_type(upgraded, mpsc.Sender[int] | None)
            assert upgraded is not None
            upgraded.close()
            return await rx.recv()

    assert run(main) == 1
