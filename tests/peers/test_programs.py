"""What users of other libraries suffer from in whole programs, row by row of the list.

Each test first does it the usual way and sees the fault, then does it with sumida. What
ends a program, or keeps it from ending, is seen from outside.
"""

import asyncio
import gc
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import sumida
from sumida import JoinSet, TaskTracker
from sumida.testing import run_paused, turns
from tests.support import Run

PATIENCE = 60
"""Seconds after which a program that should have ended is a failure."""

SOON = 0.5
"""Seconds that a program gets which is going to hang. It is no limit of ours."""


class Heard(logging.Handler):
    """Keeps what is logged, and wakes who waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.came = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record, on whichever thread."""
        self.texts.append(record.getMessage())
        self.came.set()


@contextmanager
def hearing(name: str) -> Iterator[Heard]:
    """Listen to a logger."""
    heard = Heard()
    logger = logging.getLogger(name)
    logger.addHandler(heard)
    try:
        yield heard
    finally:
        logger.removeHandler(heard)


async def culprit(until: threading.Event, seconds: float) -> bool:
    """Hold the loop until somebody has complained; tell whether one has."""
    return until.wait(seconds)


@pytest.mark.parametrize("debug", [False, True])
def test_row_07_usually_nobody_is_told_while_the_loop_is_blocked(debug: bool) -> None:
    """Without the debug mode never; with it afterwards, and not where it stands."""

    async def usual(heard: Heard) -> bool:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 0.05
        return await asyncio.create_task(culprit(heard.came, 0.1))

    with hearing("asyncio") as heard:
        was_told = asyncio.run(usual(heard), debug=debug)
    texts = [text for text in heard.texts if "Executing" in text]

    assert not was_told
    assert bool(texts) is debug
    assert not any("until.wait" in text for text in texts)


@pytest.mark.parametrize("uvloop", [False, True])
def test_row_07_a_blocked_loop_is_told_of_while_it_is_blocked(uvloop: bool) -> None:
    """With the very line, in any program of ours, the debug mode being off."""
    with hearing("sumida") as heard:
        was_told = sumida.run(culprit, heard.came, 60.0, uvloop=uvloop)
    text = heard.texts[0]

    assert was_told
    assert "has been blocked" in text
    assert "in culprit" in text
    assert "until.wait(seconds)" in text


def started(source: str) -> "subprocess.Popen[str]":
    """Start a program, and wait until it says that it is ready."""
    child = subprocess.Popen(  # noqa: S603  # this interpreter
        [sys.executable, "-c", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


STUBBORN = """
import asyncio, sumida
async def stubborn():
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            print("no", flush=True)
"""

USUAL_STUBBORN = f"""{STUBBORN}
async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(stubborn(), name="the stubborn one")
        await asyncio.sleep(0)
        print("ready", flush=True)
asyncio.run(main())
"""

OUR_STUBBORN = f"""{STUBBORN}
async def main():
    async with sumida.JoinSet() as tasks:
        tasks.spawn(stubborn(), name="the stubborn one")
        await asyncio.sleep(0)
        print("ready", flush=True)
sumida.run(main, grace=0.1, force_after=0.1)
"""


def test_row_08_a_task_that_refuses_to_end_is_named() -> None:
    """It is asked once for each cancel; who does not end in time is told of."""
    with started(USUAL_STUBBORN) as child:
        child.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(SOON)
        child.kill()
        _, usual = child.communicate(timeout=PATIENCE)
    with started(OUR_STUBBORN) as child:
        child.send_signal(signal.SIGINT)
        said, told = child.communicate(timeout=PATIENCE)

    assert "stubborn" not in usual
    assert child.returncode == 128 + signal.SIGINT
    assert said == "no\n"
    assert "the stubborn one waits for" in told
    assert "in stubborn" in told


USUAL_CLEANUP = """
import asyncio
async def main():
    print("ready", flush=True)
    try:
        await asyncio.sleep(1000)
    finally:
        print("cleaning", flush=True)
        await asyncio.sleep(1000)
asyncio.run(main())
"""

OUR_CLEANUP = """
import asyncio, sumida
async def main():
    token = sumida.shutdown_token()
    async def flush():
        print("cleaning", flush=True)
        await asyncio.sleep(1000)
    sumida.shutdown_phase("flush", flush, deadline=1000)
    sumida.shutdown_phase("close", lambda: print("closed", flush=True), deadline=10)
    print("ready", flush=True)
    await token.cancelled()
sumida.run(main, grace=1000, force_after=1000)
"""


def test_row_11_the_second_signal_hurries_the_end_and_the_third_forces_it() -> None:
    """Usually the second is an error in the middle, and the third is nothing new."""

    def interrupted(source: str, times: int) -> tuple[int, str]:
        with started(source) as child:
            assert child.stdout is not None
            child.send_signal(signal.SIGINT)
            assert child.stdout.readline() == "cleaning\n"
            for _ in range(times - 1):
                child.send_signal(signal.SIGINT)
            said, _ = child.communicate(timeout=PATIENCE)
        return child.returncode, said

    assert interrupted(USUAL_CLEANUP, 2) == (-signal.SIGINT, "")
    assert interrupted(OUR_CLEANUP, 2) == (128 + signal.SIGINT, "closed\n")


DEAF = """
import asyncio, sumida
async def main():
    token = sumida.shutdown_token()
    print("ready", flush=True)
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass
sumida.run(main, grace=0.05, force_after={force_after})
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_row_11_a_deadline_or_the_third_signal_ends_it_by_force(
    number: signal.Signals,
) -> None:
    """With 128 + the signal, for whoever looks at the status."""
    with started(DEAF.format(force_after=0.05)) as by_deadline:
        by_deadline.send_signal(number)
        by_deadline.communicate(timeout=PATIENCE)
    with started(DEAF.format(force_after=None)) as by_signals:
        while by_signals.poll() is None:
            # More than three may be needed: two at once count as one.
            by_signals.send_signal(number)
            try:
                by_signals.wait(0.05)
            except subprocess.TimeoutExpired:
                continue

    assert by_deadline.returncode == 128 + number
    assert by_signals.returncode == 128 + number


USUAL_STUCK = """
import asyncio, threading
async def main():
    task = asyncio.create_task(asyncio.to_thread(threading.Event().wait))
    await asyncio.sleep(0.01)
    task.cancel()
    print("ready", flush=True)
asyncio.run(main())
"""

OUR_STUCK = """
import asyncio, threading, sumida
from sumida.runtime.blocking import shutdown_blocking
entered = threading.Event()
def stick():
    entered.set()
    threading.Event().wait()
async def main():
    task = asyncio.create_task(sumida.spawn_blocking(stick))
    await asyncio.to_thread(entered.wait)
    task.cancel()
    print("ready", flush=True)
    for worker in await shutdown_blocking(0.01):
        print(worker)
asyncio.run(main())
"""


def test_row_12_a_thread_that_is_stuck_is_left_behind_with_its_stack() -> None:
    """Usually it keeps the program for ever; here it is told of, and let go."""
    with started(USUAL_STUCK) as child:
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(SOON)
        child.kill()
        child.communicate(timeout=PATIENCE)
    with started(OUR_STUCK) as child:
        said, _ = child.communicate(timeout=PATIENCE)

    assert child.returncode == 0
    assert "sumida-blocking" in said
    assert "in stick" in said
    assert "in wait" in said


def test_row_13_an_error_of_a_task_is_heard_of(run: Run) -> None:
    """One that is kept is silent for ever; ours goes to the block, or to the loop."""

    async def fail() -> None:
        raise ValueError("lost")

    async def heard_of(way: str) -> list[str]:
        heard: list[str] = []
        loop = asyncio.get_running_loop()
        handler = loop.get_exception_handler()
        loop.set_exception_handler(
            lambda _, context: heard.append(repr(context["exception"]))
        )
        kept: list[object] = []
        tracker = TaskTracker()
        try:
            async with JoinSet[None]() as tasks:
                if way == "usual":
                    kept.append(asyncio.create_task(fail()))
                elif way == "tracker":
                    tracker.spawn(fail())
                else:
                    kept.append(tasks.spawn(fail()))
                await turns()
                gc.collect()
        except* ValueError as group:
            heard += [repr(error) for error in group.exceptions]
        said = [*heard]
        # Only now, so that this test itself is not complained about.
        kept.clear()
        gc.collect()
        loop.set_exception_handler(handler)
        return said

    assert run(heard_of, "usual") == []
    assert run(heard_of, "set") == ["ValueError('lost')"]
    assert run(heard_of, "tracker") == ["ValueError('lost')"]


def test_row_13_what_was_aborted_before_its_first_step_never_begins(run: Run) -> None:
    """As asyncio has it: what a task must give back is not its own to take."""

    async def main() -> list[str]:
        log: list[str] = []

        async def work() -> None:
            log.append("begun")
            try:
                await asyncio.Event().wait()
            finally:
                log.append("ended")

        async with JoinSet[None]() as tasks:
            task = tasks.spawn(work())
            tasks.abort_all()
        assert task.cancelled()
        return log

    # An eager task has had its first step.
    assert run(main) in ([], ["begun", "ended"])


def test_row_17_a_day_passes_at_once() -> None:
    """Asyncio's clock is the real one; a paused one jumps, for asyncio's waits too."""

    async def a_day() -> tuple[float, list[str]]:
        log = []
        loop = asyncio.get_running_loop()
        start = loop.time()
        for wait in (asyncio.sleep, sumida.sleep):
            await wait(43_200)
            log.append(f"{loop.time() - start:g}")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1), sumida.timeout(3600):
                await asyncio.Event().wait()
        return loop.time() - start, log

    async def usual() -> bool:
        waiting = asyncio.create_task(a_day())
        await asyncio.wait([waiting], timeout=0.01)
        has_passed = waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])
        return has_passed

    assert not asyncio.run(usual())
    assert run_paused(a_day) == (86_401, ["43200", "86400"])
