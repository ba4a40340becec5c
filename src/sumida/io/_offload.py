"""The threads of files, and calls on them whose end is always seen.

Files have a pool of their own, so that a slow disk does not hold up what a program
gives to `spawn_blocking`, nor the other way round. A call that is under way cannot be
stopped; here a caller who is cancelled leaves it to whoever owns the file, who is told
when it has ended.
"""

from asyncio import Future, get_running_loop
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Final, ParamSpec, TypeVar, cast

from sumida._core.clock import hold
from sumida.runtime._delivery import Job, name_of
from sumida.runtime.blocking import BlockingPool, blocking_cancelled

__all__ = ("FILES", "acquire", "complete", "off_loop", "start")

P = ParamSpec("P")
T = TypeVar("T")

FILES: Final = BlockingPool(32, name="sumida-files")
"""The threads: half as many as for `spawn_blocking`; disks serve few at once."""


def start(call: Callable[[], T], ended: Callable[[Job[T]], object]) -> Job[T]:
    """Make a call on a thread of the files, and wait for nothing.

    Args:
        call: What to do.
        ended: Called on the loop with the job, which has the result or the error, when
            it has ended.

    Returns:
        The job.
    """
    loop = get_running_loop()
    future: Future[None] = loop.create_future()
    job = Job(call, copy_context(), future, name_of(call))
    let_go = hold(loop)

    def finish(_: Future[None]) -> None:
        let_go()
        ended(job)

    future.add_done_callback(finish)
    try:
        FILES._threads.submit(cast("Job[object]", job))
    except BaseException:
        future.remove_done_callback(finish)
        let_go()
        raise
    return job


async def off_loop(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function on a thread of the files and wait for what it returns.

    Args:
        fn: An ordinary function.
        args: Its positional arguments.
        kwargs: Its keyword arguments.

    Returns:
        What `fn` returned.

    Cancel safety:
        Not safe: as `BlockingPool.run`.
    """
    return await FILES.run(fn, *args, **kwargs)


def _forget(_job: object) -> None:
    """Take note of nothing."""


async def acquire(make: Callable[[], T], drop: Callable[[T], object]) -> T:
    """Make something on a thread that somebody has to give back.

    Args:
        make: Makes it.
        drop: Gives it back, on a thread, when the caller has gone.

    Returns:
        What was made.

    Cancel safety:
        Safe: what a cancelled call has made is given back.
    """
    loop = get_running_loop()
    done: Future[None] = loop.create_future()

    def work() -> list[T]:
        made = make()
        if blocking_cancelled():
            # Here, because the loop may not be there any more to look.
            drop(made)
            return []
        return [made]

    def ended(job: Job[list[T]]) -> None:
        # A cancel reaches the future at once, and the caller a turn later.
        if done.done():
            leave(job)
        else:
            done.set_result(None)

    def leave(job: Job[list[T]]) -> None:
        for made in job.result or ():
            start(partial(drop, made), _forget)

    job = start(work, ended)
    try:
        await done
    except BaseException:
        job.is_abandoned = True
        if done.done() and not done.cancelled():
            # It had ended, and the caller was cancelled before it could look.
            leave(job)
        done.cancel()
        raise
    error, job.error = job.error, None
    if error is None:
        (made,) = cast("list[T]", job.result)
        return made
    try:
        raise error
    finally:
        del error  # it leads to this frame, which would lead to it


async def complete(call: Callable[[], T]) -> T:
    """Make a call on a thread that is made in any case.

    Args:
        call: What to do.

    Returns:
        What it returned.

    Cancel safety:
        Not safe: the call is made, or goes on, and its result is lost.
    """
    return await acquire(call, _forget)
