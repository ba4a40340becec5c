"""The latest value; the last change is never missed."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from sumida import select
from sumida.channels import oneshot, watch
from sumida.errors import Closed, WrongLoopError
from sumida.operation import BUDGET
from sumida.testing import Outcome, cancel_everywhere, turns
from tests.core.support import TurnCounter, cancelled
from tests.support import Run


def test_the_first_value_counts_as_seen(run: Run) -> None:
    """A change wakes; several are merged into the last."""

    async def main() -> tuple[bool, int]:
        tx, rx = watch.channel(1)
        with tx, rx:
            assert not rx.has_changed()
            task = asyncio.ensure_future(rx.changed())
            await turns()
            waits = not task.done()
            tx.send(2)
            tx.send(3)
            await task
            assert not rx.has_changed()
            return waits, rx.borrow()

    assert run(main) == (True, 3)


def test_looking_and_seeing_differ(run: Run) -> None:
    """`borrow` leaves the change to be seen; `borrow_and_update` does not."""

    async def main() -> list[bool]:
        tx, rx = watch.channel(1)
        with tx, rx:
            tx.send(2)
            assert rx.borrow() == 2
            seen = [rx.has_changed()]
            assert rx.borrow_and_update() == 2
            seen.append(rx.has_changed())
            rx.mark_changed()
            seen.append(rx.has_changed())
            rx.mark_unchanged()
            return [*seen, rx.has_changed()]

    assert run(main) == [True, False, True, False]


def test_an_equal_value_is_a_change(run: Run) -> None:
    """Nothing is compared."""

    async def main() -> bool:
        tx, rx = watch.channel(1)
        with tx, rx:
            tx.send(1)
            return rx.has_changed()

    assert run(main)


def test_without_receivers_nothing_is_sent(run: Run) -> None:
    """`send` gives the value back; `send_replace` stores it all the same."""

    async def main() -> list[object]:
        tx, rx = watch.channel(1)
        rx.close()
        rx.close()
        assert tx.is_closed
        late = tx.subscribe()
        assert not tx.is_closed
        late.close()
        with pytest.raises(Closed) as error:
            tx.send(2)
        seen: list[object] = [error.value.item, tx.borrow(), tx.send_replace(3)]
        late = tx.subscribe()
        seen += [late.borrow(), late.has_changed(), tx.is_closed]
        tx.close()
        assert tx.is_closed
        return seen

    assert run(main) == [2, 1, 1, 3, False, False]


def test_modify_gives_the_new_value(run: Run) -> None:
    """The function may change a copy, or make another value."""

    async def main() -> list[object]:
        tx, rx = watch.channel({"level": 1})
        before = rx.borrow()

        def raise_level(config: dict[str, int]) -> dict[str, int]:
            config["level"] += 1
            return config

        with tx, rx:
            tx.send_modify(raise_level)
            seen: list[object] = [rx.borrow(), before, rx.has_changed()]
            rx.mark_unchanged()

            def fail(config: dict[str, int]) -> dict[str, int]:
                config["level"] = 99
                raise ValueError("no")

            with pytest.raises(ValueError, match="no"):
                tx.send_modify(fail)
            return [*seen, rx.borrow(), rx.has_changed()]

    assert run(main) == [{"level": 2}, {"level": 1}, True, {"level": 2}, False]


def test_if_modified_wakes_only_for_true(run: Run) -> None:
    """With any other result, or an error, the copy is dropped and nobody wakes."""

    async def main() -> list[object]:
        tx, rx = watch.channel({"level": 1})

        def change(result: object, config: dict[str, int]) -> object:
            config["level"] += 1
            return result

        with tx, rx:
            seen: list[object] = []
            for result in (True, False, 1, None):
                seen.append(tx.send_if_modified(partial(change, result)))
                seen.append(rx.borrow()["level"])
            rx.mark_unchanged()

            def fail(config: dict[str, int]) -> bool:
                config["level"] = 99
                raise ValueError("no")

            with pytest.raises(ValueError, match="no"):
                tx.send_if_modified(fail)
            return [*seen, rx.borrow()["level"], rx.has_changed()]

    assert run(main) == [True, 2, False, 2, False, 2, False, 2, 2, False]


def test_wait_for_looks_at_the_current_value_first(run: Run) -> None:
    """Then at each change, and at the last one before the end."""

    async def main() -> list[int]:
        tx, rx = watch.channel(5)
        seen = [await rx.wait_for(lambda n: n == 5)]
        task = asyncio.ensure_future(rx.wait_for(lambda n: n > 7))
        for n in (6, 7, 8):
            await turns()
            tx.send(n)
        seen.append(await task)
        task = asyncio.ensure_future(rx.wait_for(lambda n: n == 10))
        await turns()
        tx.send(9)
        tx.close()
        with pytest.raises(Closed):
            await task
        with pytest.raises(ZeroDivisionError):
            await rx.wait_for(lambda n: bool(n / 0))
        return seen

    assert run(main) == [5, 8]


def test_iterating_gives_the_current_value_then_each_change(run: Run) -> None:
    """It ends with the senders, and never misses the last."""

    async def main() -> list[int]:
        tx, rx = watch.channel(1)
        seen: list[int] = []

        async def watcher() -> None:
            async for value in rx:
                seen.append(value)

        task = asyncio.create_task(watcher())
        await turns()
        tx.send(2)
        await turns()
        tx.send(3)
        tx.send(4)
        tx.close()
        await task
        return seen

    assert run(main) == [1, 2, 4]


def test_a_clone_has_seen_what_its_original_has(run: Run) -> None:
    """Subscribing counts as having seen, cloning does not."""

    async def main() -> list[bool]:
        tx, rx = watch.channel(1)
        tx.send(2)
        clone, fresh = rx.clone(), tx.subscribe()
        assert rx.same_channel(clone)
        assert tx.same_channel(tx)
        seen = [clone.has_changed(), fresh.has_changed()]
        assert (tx.receiver_count, tx.sender_count) == (3, 1)
        tx.close()
        return seen

    assert run(main) == [True, False]


def test_every_watcher_is_woken_and_select_takes_it(run: Run) -> None:
    """One change reaches all; `select.loop` takes a receiver as it stands."""

    async def main() -> list[object]:
        tx, rx = watch.channel(1)
        others = [rx.clone() for _ in range(3)]
        tasks = [asyncio.ensure_future(other.changed()) for other in others]
        await turns()
        tx.send(2)
        for task in tasks:
            await task
        seen: list[object] = []
        async for name, _ in select.loop(config=rx):
            seen.append((name, rx.borrow()))
            tx.close()
        return seen

    assert run(main) == [("config", 2)]


@pytest.mark.parametrize("what", ["changed", "closed"])
def test_a_wake_up_in_vain_ends_no_coroutine(run: Run, what: str) -> None:
    """The change was seen by another, or somebody watches again."""

    async def main() -> object:
        tx, rx = watch.channel(1)
        gate: oneshot.Receiver[str]
        key, gate = oneshot.channel()

        async def work() -> str:
            return await gate

        branch = rx.changed() if what == "changed" else tx.closed()
        task = asyncio.ensure_future(select(work(), branch))
        await turns()
        if what == "changed":
            tx.send(2)
            rx.mark_unchanged()
        else:
            rx.close()
            rx = tx.subscribe()
        await turns()
        key.send("done")
        won = await task
        tx.close()
        return won

    assert run(main) == (0, "done")


@pytest.mark.parametrize("end", ["change", "senders", "receiver"])
def test_a_select_with_a_coroutine_takes_a_change_or_the_end(
    run: Run, end: str
) -> None:
    """Whatever there is to tell ends the coroutine, which had nothing."""

    async def main() -> object:
        tx, rx = watch.channel(1)
        task = asyncio.ensure_future(select(asyncio.Event().wait(), rx.changed()))
        await turns()
        match end:
            case "change":
                tx.send(2)
            case "senders":
                tx.close()
            case _:
                rx.close()
        try:
            return await task
        except Closed as error:
            return error.what
        finally:
            tx.close()

    assert run(main) == {
        "change": (1, None),
        "senders": "watch channel",
        "receiver": "receiver",
    }.get(end)


def test_a_value_marked_as_changed_is_one_to_wait_for(run: Run) -> None:
    """A task that waits already sees it, and misses no change after it."""

    async def main() -> list[bool]:
        tx, rx = watch.channel(1)
        other = rx.clone()
        tasks = [asyncio.ensure_future(one.changed()) for one in (rx, other)]
        await turns()
        with pytest.raises(WrongLoopError):
            await asyncio.to_thread(rx.mark_changed)
        assert not rx.has_changed()
        rx.mark_changed()
        await turns()
        seen = [task.done() for task in tasks]
        tx.close()
        with pytest.raises(Closed):
            await tasks[1]
        return seen

    assert run(main) == [True, False]


def test_who_never_waits_for_a_value_lets_others_run(run: Run) -> None:
    """`wait_for` yields once in a while, also where the value is as wanted."""

    async def main() -> int:
        tx, rx = watch.channel(1)
        counter = TurnCounter()
        task = asyncio.create_task(counter.count_on())
        await turns()
        before = counter.count
        for _ in range(BUDGET * 4):
            await rx.wait_for(lambda value: value == 1)
        seen = counter.count - before
        assert await cancelled(task)
        tx.close()
        return seen

    assert run(main) == 4


def test_reprs_tell_the_state() -> None:
    """Version, receivers, seen or not."""
    tx, rx = watch.channel(1)
    tx.send(2)

    assert repr(tx) == "<watch.Sender version 1, receivers: 1>"
    assert repr(rx) == "<watch.Receiver version 1 unseen>"
    tx.close()
    assert "closed" in repr(tx)


class ChangedWorld:
    """A task waits for a change."""

    def __init__(self) -> None:
        self.tx, self.rx = watch.channel(1)

    async def subject(self) -> object:
        return await self.rx.changed()

    def wakes(self) -> Sequence[Callable[[], object]]:
        return [lambda: self.tx.send(2)]

    async def check(self, outcome: Outcome) -> None:
        assert self.rx.has_changed() == (outcome.was_cancelled and outcome.is_woken)
        if self.rx.has_changed():
            await self.rx.changed()
        # Nothing is left of the wait, so that another can begin.
        waiting = asyncio.ensure_future(self.rx.changed())
        await turns()
        assert not waiting.done()
        self.tx.send(3)
        await waiting
        self.tx.close()


def test_a_cancelled_wait_marks_nothing_as_seen(run: Run) -> None:
    """The change is there for the next wait."""
    assert run(cancel_everywhere, ChangedWorld) == 8
