"""How the watchdog reads a stack, a clock and a report: without waiting for a stall."""

import asyncio
import sys
import time
from collections.abc import Callable
from types import CodeType

import pytest

from sumida.runtime import watchdog
from sumida.runtime.watchdog import BlockedLoop, LoopWatchdog


def look_late(*, ran: float) -> list[BlockedLoop]:
    """Let a watchdog look after it could not run for 5 s in the middle of a callback.

    Args:
        ran: How much processor time the loop's thread used meanwhile, in seconds.
    """
    reports: list[BlockedLoop] = []

    async def main() -> None:
        dog = LoopWatchdog(asyncio.get_running_loop(), 0.1, reports.append)
        pulse = dog._pulse  # its clocks are turned by hand
        pulse.answer()

        def callback() -> None:
            pulse.answer()
            now = time.monotonic()
            processor = pulse.processor_time()
            assert processor is not None
            dog._last_processor_time = processor
            dog._look(now, 0.0)
            dog._last_processor_time = processor - ran
            dog._last_look = now + 5
            dog._look(now + 5, 4.975)

        asyncio.get_running_loop().call_soon(callback)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(main())
    return reports


def test_a_suspended_machine_is_no_stall() -> None:
    """Nobody ran meanwhile: not this thread, nor the loop's."""
    assert look_late(ran=0.0) == []


def test_time_in_which_only_the_loop_ran_is_a_stall() -> None:
    """This thread could not run because the loop's would not let it."""
    (blocked,) = look_late(ran=5.0)

    assert blocked.seconds >= 4.9


def test_a_hog_that_is_over_is_told_without_a_stack() -> None:
    """The loop waits again when the watchdog comes to look."""
    reports: list[BlockedLoop] = []

    async def main() -> None:
        dog = LoopWatchdog(asyncio.get_running_loop(), 0.1, reports.append)
        dog._after_hog(0.5, None)  # cannot be timed from outside

    asyncio.run(main())

    assert reports == [BlockedLoop(0.5, "", "", "MainThread", is_over=True)]


def test_a_thousand_frames_are_walked_to_the_root() -> None:
    """A deep recursion is found to be one callback."""

    def deep(depth: int, check: Callable[[], None]) -> None:
        if depth:
            deep(depth - 1, check)
        else:
            check()

    found: list[str] = []

    async def main() -> None:
        pulse = watchdog._Pulse(asyncio.get_running_loop())

        def check() -> None:
            frame = sys._getframe()
            is_known, root = watchdog._root_of(frame, pulse.base)
            assert is_known
            assert root is not None
            found.append(root.f_code.co_name)

        deep(500, check)

    asyncio.run(main())

    assert found == ["_run"]


def test_an_unknown_base_is_said_so() -> None:
    """A stack in which the loop does not stand is not judged."""
    code: CodeType = test_an_unknown_base_is_said_so.__code__
    frame = sys._getframe()

    assert watchdog._root_of(frame, look_late.__code__) == (False, None)
    assert watchdog._root_of(frame, code) == (True, None)
    assert watchdog._root_of(None, code) == (False, None)


@pytest.mark.parametrize("threshold", [0, -1, float("nan")])
def test_a_bad_threshold_is_refused(threshold: float) -> None:
    """It has to be above 0."""
    loop = asyncio.new_event_loop()
    with pytest.raises(ValueError, match="threshold must be above 0 seconds"):
        LoopWatchdog(loop, threshold)
    loop.close()


def test_a_report_reads_well() -> None:
    """While it happens, and when it is over."""
    now = BlockedLoop(0.25, "  File ...\n", "t", "MainThread")
    over = BlockedLoop(1.5, "  File ...\n", "", "MainThread", is_over=True)

    assert str(now) == (
        "the event loop of MainThread has been blocked for 0.250 s by task 't'; "
        "move that to spawn_blocking or spawn_cpu:\n  File ...\n"
    )
    assert (
        str(over)
        == "the event loop of MainThread was blocked for 1.500 s by a callback"
    )
