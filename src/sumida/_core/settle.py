"""Cancel tasks and see them end, whatever happens to the one who waits."""

from asyncio import CancelledError, Future, Task, get_running_loop
from collections.abc import Iterable

__all__ = ("cancel_and_wait",)


async def cancel_and_wait(tasks: Iterable[Task[object]]) -> None:
    """Cancel `tasks` and wait until each has ended.

    A task that ends with an error of its own is reported to the loop's exception
    handler: nobody else will look at it.

    Args:
        tasks: Tasks that belong to the caller; some may have ended.

    Raises:
        CancelledError: The caller was cancelled meanwhile; all tasks have ended.

    Cancel safety:
        Safe: the cancel is kept, and raised when the last task has ended.
    """
    loop = get_running_loop()
    cancelled: CancelledError | None = None
    pending = list(tasks)
    for task in pending:
        task.cancel()
    for task in pending:
        while not task.done():
            waiter: Future[None] = loop.create_future()

            def wake(_done: Task[object], waiter: Future[None] = waiter) -> None:
                if not waiter.done():
                    waiter.set_result(None)

            task.add_done_callback(wake)
            try:
                await waiter
            except CancelledError as error:
                # Kept for the end: the task must not outlive its owner.
                cancelled = error
            finally:
                task.remove_done_callback(wake)
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            loop.call_exception_handler(
                {
                    "message": f"{task.get_name()} failed while it was cancelled",
                    "exception": failure,
                    "task": task,
                }
            )
    if cancelled is not None:
        raise cancelled
