"""How a JoinSet ends when things go wrong: what is raised, and what never hangs."""

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncGenerator

import pytest

from sumida.errors import MisuseError, WrongLoopError
from sumida.runtime.joinset import JoinSet
from sumida.testing import turns
from tests.support import LoopKind, Run


async def _fail_when_aborted(error: BaseException) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise error


async def _forever() -> None:
    await asyncio.Event().wait()


def test_the_cancel_of_another_task_cancels_nobody(run: Run) -> None:
    """Who has only awaited what was cancelled is not cancelled for it later."""

    async def main() -> int:
        other = asyncio.get_running_loop().create_future()
        with pytest.raises(ExceptionGroup, match="tasks of a JoinSet"):
            async with JoinSet[None]() as tasks:
                tasks.spawn(_fail_when_aborted(ValueError()))
                await turns(2)
                other.cancel()
                await other
        await asyncio.sleep(0)  # here it would come
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert run(main) == 0


@pytest.mark.parametrize("ending", [SystemExit(3), KeyboardInterrupt()])
def test_the_end_of_the_program_hides_in_no_group(
    run: Run, ending: BaseException
) -> None:
    """It is raised as it is; what else has failed goes to the loop's handler."""

    async def main() -> list[object]:
        told: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, about: told.append(about["exception"]))
        failure = ValueError()
        with pytest.raises(type(ending)) as raised:
            async with JoinSet[None]() as tasks:
                tasks.spawn(_fail_when_aborted(failure))
                await turns(2)
                raise ending
        assert raised.value is ending
        assert told == [failure]
        return told

    assert len(run(main)) == 1


def test_a_task_ends_the_program(run: Run) -> None:
    """`SystemExit` of a task is what the program ends with, whatever failed besides."""

    async def stop() -> None:
        await turns(3)
        raise SystemExit(3)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, about: told.append(about["exception"]))
        async with JoinSet[None]() as tasks:
            tasks.spawn(_fail_when_aborted(failure))
            tasks.spawn(stop())

    failure = ValueError()
    told: list[object] = []
    with pytest.raises(SystemExit) as raised:
        run(main)

    assert raised.value.code == 3
    assert failure in told


def test_a_generator_that_is_closed_gets_the_failures(run: Run) -> None:
    """Not a group with `GeneratorExit` in it, which nobody asked for."""

    async def main() -> tuple[BaseException, ...]:
        failure = ValueError()

        async def generate() -> AsyncGenerator[None, None]:
            async with JoinSet[None]() as tasks:
                tasks.spawn(_fail_when_aborted(failure))
                await turns(2)
                yield

        generator = generate()
        await anext(generator)
        with pytest.raises(ExceptionGroup) as raised:
            await generator.aclose()
        assert raised.value.exceptions == (failure,)
        return raised.value.exceptions

    assert len(run(main)) == 1


@pytest.mark.parametrize("is_left", [True, False])
def test_what_is_spawned_while_aborting_is_refused(run: Run, *, is_left: bool) -> None:
    """Else the end of the block would wait for a task that nobody aborts."""

    async def main() -> tuple[str, int]:
        tasks: JoinSet[None] = JoinSet()
        refused: list[str] = []

        async def member() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                with pytest.raises(MisuseError, match="being aborted") as error:
                    tasks.spawn(_forever())
                refused.append(str(error.value))

        tasks.spawn(member())
        await turns(2)
        if is_left:
            with contextlib.suppress(KeyError):
                async with tasks:
                    raise KeyError
        else:
            await tasks.shutdown()
            tasks.spawn(turns(1))  # afterwards it is as new
            assert await tasks.join_all() == [None]
        return refused[0], len(tasks)

    refused, left = run(main)

    assert "spawn into <JoinSet 1 running" in refused
    assert left == 0


@pytest.mark.parametrize("call", ["shutdown", "join_all"])
def test_a_task_cannot_wait_for_itself(run: Run, call: str) -> None:
    """A member that waits for its set is refused, and does not hang."""

    async def main() -> str:
        tasks: JoinSet[object] = JoinSet()

        async def member() -> object:
            await turns(1)
            return await getattr(tasks, call)()

        task = tasks.spawn(member())
        await turns(10)
        assert task.done()
        with pytest.raises(MisuseError, match="wait for itself") as error:
            task.result()
        await tasks.shutdown()
        return str(error.value)

    assert call in run(main)


def test_a_task_aborts_its_own_set(run: Run) -> None:
    """And is aborted with it, also if it does so in its first step, run eagerly."""

    async def main() -> tuple[bool, bool, int]:
        tasks: JoinSet[None] = JoinSet()
        reached: list[int] = []

        async def stop() -> None:
            tasks.abort_all()
            await asyncio.sleep(0)
            reached.append(1)

        async with tasks:
            other = tasks.spawn(_forever())
            own = tasks.spawn(stop())
        return other.cancelled(), own.cancelled(), len(reached)

    assert run(main) == (True, True, 0)


def test_a_cancel_while_an_error_aborts_the_set_goes_first(run: Run) -> None:
    """Who has cancelled need not hear of the error, which is its context."""

    async def main() -> bool:
        async def slow() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await turns(5)

        async def block() -> None:
            async with JoinSet[None]() as tasks:
                tasks.spawn(slow())
                await turns(2)
                raise KeyError

        task = asyncio.create_task(block())
        await turns(4)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert run(main)


def test_nothing_is_left_to_take_when_all_was_dropped(run: Run) -> None:
    """After the block, and after `shutdown`, which has looked at each error."""

    async def main() -> list[object]:
        seen: list[object] = []
        async with JoinSet[None]() as tasks:
            tasks.spawn(turns(1))
        seen += [tasks.has_finished, tasks.try_join_next()]
        other: JoinSet[None] = JoinSet()
        other.spawn(_fail_when_aborted(ValueError()))
        await turns(2)
        await other.shutdown()
        return [*seen, other.has_finished, other.try_join_next(), repr(other)]

    assert run(main) == [False, None, False, None, "<JoinSet 0 running, 0 ended>"]


def test_who_waits_for_the_next_hears_that_all_were_detached(run: Run) -> None:
    """There is no next: the set is empty."""

    async def main() -> list[object]:
        tasks: JoinSet[None] = JoinSet()
        task = tasks.spawn(_forever())
        waiting = asyncio.ensure_future(tasks.join_next())
        await turns(2)
        with pytest.raises(WrongLoopError):
            await asyncio.to_thread(tasks.detach_all)
        seen: list[object] = [len(tasks)]
        tasks.detach_all()
        seen.append(await waiting)
        task.cancel()
        await asyncio.wait([task])
        return seen

    assert run(main) == [1, None]


def test_a_detached_task_that_nothing_else_knows_is_kept(run: Run) -> None:
    """Until it ends: what it waits for may be known to itself alone."""

    async def main() -> bool:
        tasks: JoinSet[None] = JoinSet()
        kept: list[weakref.ref[asyncio.Event]] = []

        async def work() -> None:
            event = asyncio.Event()
            kept.append(weakref.ref(event))
            await event.wait()

        seen = weakref.ref(tasks.spawn(work()))
        await turns(2)
        tasks.detach_all()
        del tasks
        gc.collect()
        event = kept[0]()
        if event is None:
            return False
        event.set()
        await turns(3)
        gc.collect()
        return seen() is None

    assert run(main)


def test_the_end_of_the_program_is_raised_by_the_set_too(loop_kind: LoopKind) -> None:
    """The loop was ended by it, and if it runs again, the block is ended by it."""

    async def stop() -> None:
        await turns(1)
        raise SystemExit(3)

    async def main() -> None:
        async with JoinSet[None]() as tasks:
            tasks.spawn(stop())
            tasks.spawn(turns(5))

    loop = loop_kind.make()
    try:
        task = loop.create_task(main())
        for _ in range(2):
            with pytest.raises(SystemExit):
                loop.run_until_complete(task)
        assert task.done()
    finally:
        loop.close()


def test_one_wait_for_the_next_can_be_used_again(run: Run) -> None:
    """It has given up its place each time, and takes the last one."""

    async def main() -> list[int]:
        tasks: JoinSet[int] = JoinSet()

        async def give(n: int) -> int:
            await turns(3)
            return n

        following = tasks.join_next()
        seen = []
        for n in range(3):
            tasks.spawn(give(n))
            task = await following
            assert task is not None
            seen.append(task.result())
        return seen

    assert run(main) == [0, 1, 2]
