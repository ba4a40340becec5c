"""What a blocked loop is reported as, and what is not reported."""

import asyncio
import logging
import threading
import time

import pytest

from sumida.runtime.watchdog import BlockedLoop, LoopWatchdog
from tests.support import LoopKind, Run

LONG = 10.0
# A busy machine takes a loop off its core for 20 ms, which would be reported, too.
SHORT = 0.1


class Reports:
    """Keeps what a watchdog says, and lets a thread wait for it."""

    def __init__(self) -> None:
        self.all: list[BlockedLoop] = []
        self._came = threading.Condition()

    def __call__(self, blocked: BlockedLoop) -> None:
        """Take a report; on the watchdog's thread."""
        with self._came:
            self.all.append(blocked)
            self._came.notify_all()

    def block_until(self, count: int) -> None:
        """Hold the calling thread, and so its loop, until so many have come."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.all) >= count, LONG)

    def block_for(self, seconds: float) -> None:
        """Hold the calling thread until a stall so long was reported."""
        with self._came:
            assert self._came.wait_for(
                lambda: any(blocked.seconds >= seconds for blocked in self.all), LONG
            )

    async def until(self, count: int) -> None:
        """Wait for them without blocking the loop."""
        await asyncio.to_thread(self.block_until, count)


@pytest.fixture
def reports() -> Reports:
    """Give a place for reports."""
    return Reports()


def spin(seconds: float) -> None:
    """Compute, in Python."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def hold_interpreter(seconds: float) -> None:
    """Compute, in C, without letting another thread run."""
    count = 1_000_000
    while True:
        start = time.monotonic()
        sum(range(count))
        if time.monotonic() - start > seconds:
            return
        count *= 2


def test_peers_7_a_blocked_loop_is_reported_while_it_is_blocked(
    run: Run, reports: Reports
) -> None:
    """With the stack and the task, before it ends; the debug mode of asyncio is off."""

    async def culprit() -> None:
        reports.block_until(1)

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.set_name("the-culprit")
        with LoopWatchdog(asyncio.get_running_loop(), SHORT, reports):
            await asyncio.sleep(0)
            await culprit()
            await reports.until(2)

    run(main)
    first, last = reports.all

    assert first.seconds >= SHORT
    assert first.task_name == "the-culprit"
    assert first.thread == "MainThread"
    assert "in culprit" in first.stack
    assert "wait_for" in first.stack
    assert "_run_once" not in first.stack
    assert not first.is_over
    assert last.is_over
    assert last.seconds >= first.seconds
    assert last.task_name == "the-culprit"


def test_a_callback_is_reported_without_a_task(run: Run, reports: Reports) -> None:
    """It has no name but its stack."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with LoopWatchdog(loop, SHORT, reports):
            await asyncio.sleep(0)
            loop.call_soon(lambda: reports.block_until(1))
            await reports.until(2)

    run(main)

    assert [blocked.task_name for blocked in reports.all] == ["", ""]
    assert "in block_until" in reports.all[0].stack


def test_a_stall_is_reported_again_at_ten_times(run: Run, reports: Reports) -> None:
    """At 1, 10 and 100 times the threshold, and at its end."""

    async def main() -> None:
        with LoopWatchdog(asyncio.get_running_loop(), 0.002, reports):
            await asyncio.sleep(0)
            reports.block_for(0.2)
            count = len(reports.all)
            await reports.until(count + 1)
            del reports.all[count + 1 :]

    run(main)
    # Before it there may have been shorter ones: 2 ms are soon over.
    first, second, third, last = reports.all[-4:]

    assert 0.002 <= first.seconds < second.seconds < third.seconds <= last.seconds
    assert second.seconds >= 0.02
    assert third.seconds >= 0.2
    assert [b.is_over for b in (first, second, third, last)] == [False] * 3 + [True]


def test_each_stall_is_reported(run: Run, reports: Reports) -> None:
    """One after the other, each with its own end."""

    async def main() -> None:
        with LoopWatchdog(asyncio.get_running_loop(), SHORT, reports):
            for n in range(3):
                await asyncio.sleep(0)
                reports.block_until(2 * n + 1)
                await reports.until(2 * n + 2)

    run(main)

    assert [blocked.is_over for blocked in reports.all] == [False, True] * 3


def test_python_that_computes_is_reported(run: Run, reports: Reports) -> None:
    """Not only what waits."""

    async def main() -> None:
        with LoopWatchdog(asyncio.get_running_loop(), SHORT, reports):
            # A crowded machine may stall the loop elsewhere, or keep the watchdog's
            # thread from looking; then compute again.
            while not any("in spin" in blocked.stack for blocked in reports.all):
                await asyncio.sleep(0)
                spin(10 * SHORT)

    run(main)

    assert any("in spin" in blocked.stack for blocked in reports.all)


def test_c_code_that_holds_the_interpreter_is_reported(
    run: Run, reports: Reports
) -> None:
    """As soon as anybody can look: no thread can run before."""

    async def main() -> None:
        with LoopWatchdog(asyncio.get_running_loop(), 0.05, reports):
            await asyncio.sleep(0)
            # Where the machine gives the processor to others meanwhile, it cannot be
            # told from a suspended one; then try again.
            while not reports.all:
                hold_interpreter(0.3)
                await asyncio.sleep(0)

    run(main)

    assert reports.all[0].seconds >= 0.05


def test_an_idle_loop_is_neither_reported_nor_woken(
    loop_kind: LoopKind, reports: Reports
) -> None:
    """A loop that waits for events gets no call from the watchdog."""

    async def main() -> int:
        loop = asyncio.get_running_loop()
        with LoopWatchdog(loop, SHORT, reports) as dog:
            pulse = dog._pulse  # to look inside
            await asyncio.sleep(0.1)  # it has learned where the loop waits
            answered = pulse.answered
            await asyncio.sleep(0.3)  # idle for 60 looks
            return int(pulse.answered != answered)

    with asyncio.Runner(loop_factory=loop_kind.make) as runner:
        woken = runner.run(main())

    assert reports.all == []
    assert woken == 0


def test_many_small_callbacks_are_no_stall(run: Run, reports: Reports) -> None:
    """A loop that is late because it has much to do is not held by any one."""

    async def small() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            spin(0.000_1)

    async def main() -> None:
        with LoopWatchdog(asyncio.get_running_loop(), 0.1, reports):
            tasks = [asyncio.create_task(small()) for _ in range(2_000)]
            await asyncio.wait(tasks)

    run(main)

    assert reports.all == []


def test_a_debugger_is_no_stall(run: Run, reports: Reports) -> None:
    """Whoever stands at a breakpoint knows that the loop does."""
    names: dict[str, object] = {"__name__": "pdb", "spin": spin}
    exec("def interaction(seconds): spin(seconds)", names)  # a stand-in  # noqa: S102
    interaction = names["interaction"]
    assert callable(interaction)

    async def main() -> None:
        with LoopWatchdog(asyncio.get_running_loop(), SHORT, reports):
            await asyncio.sleep(0)
            interaction(10 * SHORT)
            spin(SHORT / 2)  # it goes on, and the time before does not count
            await asyncio.sleep(4 * SHORT)

    # A machine that is busy elsewhere may hold the loop itself: it is tried again.
    for _ in range(5):
        reports.all.clear()
        run(main)
        if not reports.all:
            break

    assert reports.all == []


def test_a_loop_started_later_is_watched(loop_kind: LoopKind, reports: Reports) -> None:
    """The watchdog may be there before the loop runs, and between two runs."""
    loop = loop_kind.make()

    async def main() -> None:
        await asyncio.sleep(0.05)
        reports.block_until(len(reports.all) + 1)
        await reports.until(len(reports.all) + 1)

    with LoopWatchdog(loop, SHORT, reports):
        loop.run_until_complete(main())
        time.sleep(0.1)  # nobody's loop is blocked: none runs
        count = len(reports.all)
        loop.run_until_complete(main())
        loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()

    assert count == 2
    assert [blocked.is_over for blocked in reports.all] == [False, True] * 2


def test_a_loop_in_another_thread_is_named(reports: Reports) -> None:
    """The thread and the task are those of the loop, not the watchdog's."""

    async def main() -> None:
        with LoopWatchdog(asyncio.get_running_loop(), SHORT, reports):
            await asyncio.sleep(0)
            reports.block_until(1)
            await reports.until(2)

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="side")
    thread.start()
    thread.join(LONG)

    assert {blocked.thread for blocked in reports.all} == {"side"}
    assert reports.all[0].task_name.startswith("Task-")


def test_start_and_stop_are_idempotent(run: Run, reports: Reports) -> None:
    """And a stopped watchdog can be started again."""

    def threads() -> int:
        return sum(t.name == "sumida-watchdog" for t in threading.enumerate())

    async def main() -> None:
        dog = LoopWatchdog(asyncio.get_running_loop(), SHORT, reports)
        assert repr(dog) == "<LoopWatchdog 0.1 s, stopped>"
        assert dog.threshold == SHORT
        for _ in range(2):
            dog.start()
            dog.start()
            assert threads() == 1
            assert repr(dog) == "<LoopWatchdog 0.1 s, watching>"
            reports.block_until(len(reports.all) + 1)
            dog.stop()
            dog.stop()
            assert threads() == 0

    run(main)

    assert len(reports.all) == 2


def test_it_ends_with_its_loop(reports: Reports) -> None:
    """A loop that was closed needs no watch."""

    async def main() -> threading.Thread | None:
        dog = LoopWatchdog(asyncio.get_running_loop(), SHORT, reports)
        dog.start()
        return dog._thread  # to see it end

    thread = asyncio.run(main())
    assert thread is not None
    thread.join(LONG)

    assert not thread.is_alive()


def test_a_report_may_stop_the_watchdog(run: Run) -> None:
    """It is called on the watchdog's own thread, which does not wait for itself."""
    stopped = threading.Event()

    async def main() -> bool:
        def report(_blocked: BlockedLoop) -> None:
            dog.stop()
            stopped.set()

        dog = LoopWatchdog(asyncio.get_running_loop(), SHORT, report)
        dog.start()
        return stopped.wait(LONG)

    assert run(main)


def test_a_report_that_fails_is_logged_and_the_watch_goes_on(
    run: Run, caplog: pytest.LogCaptureFixture, reports: Reports
) -> None:
    """The next stall is told again."""

    def report(blocked: BlockedLoop) -> None:
        reports(blocked)
        raise KeyError("no")

    async def main() -> None:
        with LoopWatchdog(asyncio.get_running_loop(), SHORT, report):
            await asyncio.sleep(0)
            reports.block_until(1)
            await reports.until(2)

    run(main)

    assert "the report of a blocked event loop failed" in caplog.text


def test_by_default_it_is_logged(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """A warning with the stack, at the logger `sumida`."""
    logged = threading.Event()

    class Handler(logging.Handler):
        """Says that something was logged."""

        def emit(self, record: logging.LogRecord) -> None:
            """Take it."""
            del record
            logged.set()

    async def main() -> None:
        with LoopWatchdog(asyncio.get_running_loop(), SHORT):
            await asyncio.sleep(0)
            assert logged.wait(LONG)

    handler = Handler()
    logging.getLogger("sumida").addHandler(handler)
    try:
        run(main)
    finally:
        logging.getLogger("sumida").removeHandler(handler)
    record = caplog.records[0]

    assert (record.name, record.levelname) == ("sumida", "WARNING")
    assert "the event loop of MainThread has been blocked for 0." in caplog.text
    assert "assert logged.wait(LONG)" in caplog.text
    assert "move that to spawn_blocking or spawn_cpu" in caplog.text


def test_frames_are_let_go_of_by_the_loop(run: Run) -> None:
    """A finaliser of a callback's object runs on the loop's thread, not ours."""
    threads: list[str] = []

    class Thing:
        """Notes where it dies."""

        def __del__(self) -> None:
            threads.append(threading.current_thread().name)

    async def main() -> None:
        def work() -> None:
            thing = Thing()
            spin(0.004)
            del thing

        def hold(thing: Thing) -> None:
            spin(0.004)
            del thing

        loop = asyncio.get_running_loop()
        with LoopWatchdog(loop, 0.008, lambda _: None):
            for _ in range(50):
                loop.call_soon(work)
                loop.call_soon(hold, Thing())
                await asyncio.sleep(0)

    run(main)

    assert set(threads) == {"MainThread"}
