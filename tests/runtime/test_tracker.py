"""Trackers: they count, and forget."""

import asyncio
import gc
import weakref

import pytest

from sumida import TaskTracker
from sumida.errors import MisuseError, WrongLoopError
from sumida.testing import turns
from tests.support import Run


async def work(wait: int) -> int:
    """Take some turns."""
    await turns(wait)
    return wait


def test_wait_ends_when_closed_and_empty(run: Run) -> None:
    """Neither alone is enough."""

    async def main() -> list[bool]:
        tracker = TaskTracker()
        waiting = asyncio.ensure_future(tracker.wait())
        await turns()
        seen = [waiting.done()]
        tracker.spawn(work(20))
        assert tracker.close()
        assert not tracker.close()
        await turns(5)
        seen.append(waiting.done())
        await waiting
        return [*seen, tracker.is_empty, tracker.is_closed]

    assert run(main) == [False, False, True, True]


def test_wait_sees_what_was_so_since_it_was_made(run: Run) -> None:
    """A tracker that is opened and used again does not hide it."""

    async def main() -> int:
        tracker = TaskTracker()
        waiting = tracker.wait()
        tracker.close()
        assert tracker.reopen()
        assert not tracker.reopen()
        task = tracker.spawn(work(5))
        await waiting
        running = len(tracker)
        await task
        return running

    assert run(main) == 1


def test_a_closed_tracker_takes_tasks(run: Run) -> None:
    """And waits for them."""

    async def main() -> int:
        tracker = TaskTracker()
        tracker.close()
        task = tracker.spawn(work(3), name="late")
        await tracker.wait()
        assert task.get_name() == "late"
        return task.result()

    assert run(main) == 3


def test_tasks_are_kept_while_they_run_and_no_longer(run: Run) -> None:
    """Memory does not grow with the tasks that have ended."""

    async def main() -> tuple[bool, bool]:
        tracker = TaskTracker()
        seen = weakref.ref(tracker.spawn(work(10)))
        await turns(3)
        gc.collect()
        alive = seen() is not None
        tracker.close()
        await tracker.wait()
        await turns()
        gc.collect()
        return alive, seen() is not None

    assert run(main) == (True, False)


def test_others_tasks_can_be_tracked(run: Run) -> None:
    """Whoever started them."""

    async def main() -> str:
        tracker = TaskTracker()
        task = tracker.track(asyncio.create_task(work(2)))
        text = repr(tracker)
        tracker.close()
        await tracker.wait()
        assert task.done()
        return text

    assert run(main) == "<TaskTracker 1 running, open>"


def test_misuse_is_refused(run: Run) -> None:
    """What is no fresh coroutine, and no loop."""

    async def main() -> None:
        with pytest.raises(TypeError, match="call the async function"):
            TaskTracker().spawn(work)  # type: ignore[arg-type]  # the mistake

    run(main)
    with pytest.raises(MisuseError, match="no event loop"):
        TaskTracker().spawn(work(1))


def test_only_a_task_can_be_tracked(run: Run) -> None:
    """Anything else is refused, and not waited for."""

    async def main() -> int:
        tracker = TaskTracker()
        coroutine = work(1)
        with pytest.raises(TypeError, match="track takes a task, not <coroutine"):
            tracker.track(coroutine)  # type: ignore[arg-type]  # the misuse
        coroutine.close()
        tracker.close()
        await tracker.wait()
        return len(tracker)

    assert run(main) == 0


def test_to_be_empty_while_open_is_not_the_end(run: Run) -> None:
    """A wait that was made before sees only what was so when it was closed."""

    async def main() -> list[bool]:
        tracker = TaskTracker()
        waiting = asyncio.ensure_future(tracker.wait())
        await tracker.spawn(work(1))
        await turns()
        seen = [tracker.is_empty]
        tracker.spawn(work(10))
        tracker.close()
        await turns(5)
        seen.append(waiting.done())
        await waiting
        return seen

    assert run(main) == [True, False]


def test_a_thread_cannot_close_what_a_task_waits_for(run: Run) -> None:
    """It would not wake the loop; nothing is changed."""

    async def main() -> bool:
        tracker = TaskTracker()
        waiting = asyncio.ensure_future(tracker.wait())
        await turns()
        with pytest.raises(WrongLoopError):
            await asyncio.to_thread(tracker.close)
        assert not tracker.is_closed
        tracker.close()
        await waiting
        return True

    assert run(main)
