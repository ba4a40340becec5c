"""What the tests of the thread locks share: threads that cannot hang a test."""

import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

R = TypeVar("R")

PATIENCE: Final = 30.0
"""Seconds after which a wait that should have ended is a failure; never waited for."""


def together(*functions: Callable[[], R]) -> list[R]:
    """Run each function in a thread of its own, all started at one moment.

    Args:
        functions: What the threads run.

    Returns:
        Their results, in the order of the functions.

    Raises:
        ExceptionGroup: Some raised.
        TimeoutError: One did not end.
    """
    results: dict[int, R] = {}
    errors: list[Exception] = []
    start = threading.Barrier(len(functions))

    def work(index: int, function: Callable[[], R]) -> None:
        start.wait(PATIENCE)
        try:
            results[index] = function()
        except Exception as error:  # noqa: BLE001 - it is raised below
            errors.append(error)

    workers = [
        threading.Thread(target=work, args=(index, function), daemon=True)
        for index, function in enumerate(functions)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE)
        if worker.is_alive():
            message = f"{worker.name} did not end"
            raise TimeoutError(message)
    if errors:
        message = "threads failed"
        raise ExceptionGroup(message, errors)
    return [results[index] for index in range(len(functions))]


def until(condition: Callable[[], bool]) -> None:
    """Let other threads run until `condition` holds.

    Args:
        condition: Asked again and again.

    Raises:
        TimeoutError: It never held.
    """
    deadline = time.monotonic() + PATIENCE
    while not condition():
        # Not a wait, only a hint to the scheduler.
        time.sleep(0)
        if time.monotonic() > deadline:
            message = "the condition never held"
            raise TimeoutError(message)
