"""The programs of the tour, section 3: select."""

import asyncio
from typing import Any, Literal, assert_type

from sumida import CancellationToken, Interval, select
from sumida.channels import mpsc
from sumida.testing import run_paused
from tests.support import Run


def test_select_by_name() -> None:
    """The loop of the tour, as it stands there; its seconds pass at once."""

    async def main() -> tuple[list[str], int]:
        token = CancellationToken()
        tx, rx = mpsc.channel(4)
        handled: list[str] = []
        reports = 0

        async def handle(message: str) -> None:
            handled.append(message)

        async def report() -> None:
            nonlocal reports
            reports += 1
            # The first tick is at once: from here on the messages come.
            if reports == 1:
                await tx.send("a")
                await tx.send("b")
            elif reports == 3:
                token.cancel()

        tick = Interval(1.0, missed="skip")
        with tx:
            while True:
                match await select(
                    stop=token.cancelled(), msg=rx.recv(), tick=tick.tick(), biased=True
                ):
                    case ("stop", _):
                        break
                    case ("msg", message):
                        await handle(message)
                    case ("tick", _):
                        await report()
        return handled, reports

    handled, reports = run_paused(main)

    assert handled == ["a", "b"]
    assert reports == 3


def test_select_loop(run: Run) -> None:
    """The same loop, built once."""

    async def main() -> list[str]:
        token = CancellationToken()
        tx, rx = mpsc.channel(4)
        tick = Interval(1.0, missed="skip")
        seen: list[str] = []
        with tx:
            async for name, value in select.loop(
                stop=token, msg=rx, tick=tick, biased=True
            ):
                seen.append(name)
                match name:
                    case "tick":
                        await tx.send("a")
                        await tx.send("b")
                    case "msg" if value == "b":
                        token.cancel()
                    case "stop":
                        break
        return seen

    assert run(main) == ["tick", "msg", "msg", "stop"]


def test_select_by_position(run: Run) -> None:
    """An operation against a coroutine: (0, value) or (1, value)."""

    async def fetch(n: int) -> int:
        await asyncio.sleep(0)
        return n * n

    async def main() -> list[object]:
        tx, reader = mpsc.channel(1)
        with tx:
            winner = await select(reader.recv(), fetch(1))
            assert_type(winner, tuple[Literal[0], Any] | tuple[Literal[1], int])
            await tx.send("read")
            return [winner, await select(reader.recv(), fetch(2))]

    assert run(main) == [(1, 1), (0, "read")]
