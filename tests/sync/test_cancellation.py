"""Tokens: a tree of requests to stop."""

import asyncio
import gc
import threading
import weakref

import pytest

from sumida import CancellationToken, select, sleep
from sumida.errors import WrongLoopError
from sumida.testing import turns
from tests.core.support import started
from tests.support import Run


def test_a_cancel_goes_down_the_tree_not_up(run: Run) -> None:
    """Also through one in the middle that nobody holds."""

    async def main() -> list[object]:
        root = CancellationToken()
        child, sibling = root.child_token(), root.child_token()
        grandchild = child.child_token().child_token()
        gc.collect()
        waiting = asyncio.ensure_future(grandchild.cancelled())
        await turns()
        child.cancel("enough")
        child.cancel("again")
        await waiting
        seen: list[object] = [root.is_cancelled, sibling.is_cancelled]
        seen += [grandchild.reason, child.child_token().is_cancelled]
        root.cancel()
        return [*seen, sibling.is_cancelled, repr(child)]

    assert run(main) == [
        False,
        False,
        "enough",
        True,
        True,
        "<CancellationToken cancelled: enough>",
    ]


def test_children_that_are_dropped_are_not_kept() -> None:
    """A token for each of many requests costs nothing afterwards."""
    root = CancellationToken()
    seen = [weakref.ref(root.child_token()) for _ in range(100)]
    gc.collect()

    assert not any(child() for child in seen)


def test_a_token_that_was_cancelled_keeps_nobody() -> None:
    """Neither its parent nor its child; one that is made of it later knows why."""
    root = CancellationToken()
    child = root.child_token()
    grandchild = child.child_token()
    child.cancel("enough")
    late = child.child_token()
    seen = weakref.ref(root), weakref.ref(grandchild)
    del root, grandchild

    assert [token() for token in seen] == [None, None]
    assert (late.is_cancelled, late.reason) == (True, "enough")


def test_a_deep_tree_is_cancelled() -> None:
    """Without recursion."""
    root = token = CancellationToken()
    for _ in range(5000):
        token = token.child_token()
    root.cancel()

    assert token.is_cancelled


def test_run_until_cancelled(run: Run) -> None:
    """The result, or None; the task has ended either way."""

    async def main() -> list[object]:
        token = CancellationToken()
        ended: list[str] = []

        async def work(seconds: float) -> str:
            try:
                await sleep(seconds)
            finally:
                ended.append("ended")
            return "done"

        seen: list[object] = [await token.run_until_cancelled(work(0.001))]
        assert repr(token) == "<CancellationToken 0 waiting>"
        task = asyncio.create_task(token.run_until_cancelled(work(100)))
        await turns()
        token.cancel()
        seen.append(await task)
        seen.append(await token.run_until_cancelled(work(0)))
        with pytest.raises(TypeError, match="takes a coroutine"):
            await token.run_until_cancelled(5)  # type: ignore[arg-type]  # the mistake
        return [*seen, len(ended)]

    assert run(main) == ["done", None, None, 2]


def test_a_cancel_of_the_caller_ends_the_coroutine(run: Run) -> None:
    """And goes on."""

    async def main() -> tuple[bool, bool]:
        token = CancellationToken()
        inner: list[bool] = []

        async def work() -> None:
            try:
                await sleep(100)
            finally:
                inner.append(True)

        task = asyncio.create_task(token.run_until_cancelled(work()))
        await turns()
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled(), bool(inner)

    assert run(main) == (True, True)


def test_a_coroutine_that_cancels_the_token_is_ended(run: Run) -> None:
    """Also in its first step, which an eager task makes before anybody listens."""

    async def main() -> tuple[str | None, bool]:
        token = CancellationToken()

        async def work() -> str:
            token.cancel("by myself")
            await sleep(100)
            return "worked on"

        return await token.run_until_cancelled(work()), token.is_cancelled

    assert run(main) == (None, True)


def test_nothing_is_left_running_for_a_token_of_another_loop() -> None:
    """The coroutine has ended when the error is raised."""
    token = CancellationToken()
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    async def begin() -> "asyncio.Task[None]":
        return await started(token.cancelled())

    async def misuse() -> int:
        with pytest.raises(WrongLoopError):
            await token.run_until_cancelled(work())
        return len(asyncio.all_tasks())

    async def end() -> None:
        token.cancel()
        await waiting

    with asyncio.Runner() as first, asyncio.Runner() as second:
        waiting = first.run(begin())
        assert second.run(misuse()) == 1
        first.run(end())

    assert ended in ([], ["ended"])


def test_a_guard_that_a_thread_drops_cancels_the_children(run: Run) -> None:
    """On their loop, though nobody waits for the token itself."""

    async def main() -> tuple[bool, str | None]:
        token = CancellationToken()
        child = token.child_token()
        waiting = await started(child.cancelled())
        guards = [token.drop_guard()]
        await asyncio.to_thread(guards.clear)
        await waiting
        return token.is_cancelled, child.reason

    assert run(main) == (True, "its guard was collected")


def test_a_guard_cancels_unless_disarmed(run: Run) -> None:
    """When its block is left, or it is collected."""

    async def main() -> list[bool]:
        seen = []
        token = CancellationToken()
        with token.drop_guard():
            seen.append(token.is_cancelled)
        seen.append(token.is_cancelled)
        token = CancellationToken()
        with token.drop_guard() as guard:
            assert guard.disarm() is token
            assert guard.disarm() is None
        seen.append(token.is_cancelled)
        guard = token.drop_guard()
        assert "CancellationToken" in repr(guard)
        del guard
        gc.collect()
        await turns()
        return [*seen, token.is_cancelled]

    assert run(main) == [False, True, False, True]


def test_select_takes_the_token_itself(run: Run) -> None:
    """And loses nothing by it."""

    async def main() -> list[object]:
        token = CancellationToken()
        first = await select(token, sleep(0))
        token.cancel()
        second = await select(token, sleep(100))
        return [first[0], second[0]]

    assert run(main) == [1, 0]


def test_another_thread_is_refused(run: Run) -> None:
    """Nothing is cancelled; the loop's own way across works."""

    async def main() -> tuple[int, bool]:
        token = CancellationToken()
        waiting = asyncio.ensure_future(token.cancelled())
        await turns()
        errors: list[Exception] = []

        def misuse() -> None:
            try:
                token.cancel()
            except WrongLoopError as error:
                errors.append(error)

        thread = threading.Thread(target=misuse)
        thread.start()
        thread.join()
        before = token.is_cancelled
        loop = asyncio.get_running_loop()
        thread = threading.Thread(
            target=loop.call_soon_threadsafe, args=(token.cancel,)
        )
        thread.start()
        await waiting
        thread.join()
        return len(errors), before

    assert run(main) == (1, False)
