"""Signals as streams and operations."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from sumida import process, select, sleep, spawn_blocking
from sumida.errors import Closed, MisuseError, SignalError
from sumida.testing import Outcome, cancel_everywhere, turns
from tests.support import LoopKind, Run

USR1 = signal.SIGUSR1


def fire(number: int = USR1) -> None:
    """Send it to ourselves; it has been handled when this returns."""
    os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def _gives_back() -> Iterator[None]:
    before = [signal.getsignal(number) for number in (USR1, signal.SIGINT)]
    yield
    after = [signal.getsignal(number) for number in (USR1, signal.SIGINT)]
    assert after == before


def test_each_listener_hears_each_signal(run: Run) -> None:
    """Any number of them, also one that came before recv."""

    async def main() -> list[int]:
        with process.signal(USR1) as one, process.signal(USR1) as two:
            fire()
            first = [await one.recv(), await two.recv()]
            fire()
            return [*first, await two.recv(), await one.recv()]

    assert run(main) == [USR1] * 4


def test_what_comes_several_times_is_heard_once(run: Run) -> None:
    """As the kernel itself has it; but what comes after recv is heard again."""

    async def main() -> None:
        with process.signal(USR1) as stream:
            fire()
            fire()
            await turns()
            assert await stream.recv() == USR1
            assert await select(stream.recv(), sleep(0.001)) == (1, None)
            fire()
            assert await stream.recv() == USR1

    run(main)


def test_it_is_iterated_until_it_is_closed(run: Run) -> None:
    """Closing ends who waits, and what comes later is Closed."""

    async def main() -> list[int]:
        heard = []
        stream = process.signal(USR1)
        fire()
        async for number in stream:
            heard.append(number)
            asyncio.get_running_loop().call_soon(stream.close)
        stream.close()
        with pytest.raises(Closed):
            await stream.recv()
        return heard

    assert run(main) == [USR1]


def test_it_can_be_selected(run: Run) -> None:
    """As an operation, and as a source."""

    async def main() -> list[object]:
        heard: list[object] = []
        with process.signal(USR1) as one, process.signal(signal.SIGUSR2) as two:
            fire(signal.SIGUSR2)
            heard.append(await select(one.recv(), two.recv()))
            fire()
            async for name, value in select.loop(usr1=one, usr2=two):
                heard += [name, value]
                break
        return heard

    assert run(main) == [(1, signal.SIGUSR2), "usr1", USR1]


class SignalWorld:
    """Two tasks wait on one stream; the first is cancelled."""

    def __init__(self) -> None:
        self.stream = process.signal(USR1)

    async def subject(self) -> int:
        """Wait for it."""
        return await self.stream.recv()

    def wakes(self) -> Sequence[Callable[[], object]]:
        """One signal, as the handler tells of it."""
        return [self.stream._ear.tell]

    async def check(self, outcome: Outcome) -> None:
        """It was taken, or is still there."""
        got, _ = await select(self.stream.recv(), sleep(0), biased=True)
        assert (got == 0) is (outcome.is_woken and not outcome.returned)
        self.stream.close()


def test_recv_is_cancel_safe_at_every_suspension(run: Run) -> None:
    """A cancelled recv() takes nothing."""
    runs = run(cancel_everywhere, SignalWorld)

    assert runs == 8


def test_a_cancelled_recv_passes_it_on(run: Run) -> None:
    """Woken and cancelled in one turn, it leaves the signal to the next in line."""

    async def main() -> int:
        with process.signal(USR1) as stream:

            async def recv() -> int:
                return await stream.recv()

            first = asyncio.create_task(recv())
            second = asyncio.create_task(recv())
            await turns()
            stream._ear.tell()
            first.cancel()
            got = await second
            with pytest.raises(asyncio.CancelledError):
                await first
            return got

    assert run(main) == USR1


def test_the_last_to_close_gives_the_signal_back(run: Run) -> None:
    """A Ctrl-C after that does what it did before."""
    heard: list[int] = []

    async def main() -> None:
        before = signal.signal(USR1, lambda number, _: heard.append(number))
        one, two = process.signal(USR1), process.signal(USR1)
        one.close()
        fire()
        assert heard == []
        two.close()
        fire()
        signal.signal(USR1, before)

    run(main)
    assert heard == [USR1]


def test_a_handler_that_replaced_ours_is_left_alone(run: Run) -> None:
    """Its owner gives it back; and who listens after that is heard."""

    async def main() -> int:
        stream = process.signal(USR1)
        before = signal.signal(USR1, signal.SIG_IGN)
        stream.close()
        assert signal.getsignal(USR1) == signal.SIG_IGN
        signal.signal(USR1, signal.SIG_DFL)
        assert before is not None
        with process.signal(USR1) as again:
            fire()
            return await again.recv()

    assert run(main) == USR1


def test_a_stream_that_is_dropped_is_closed(run: Run) -> None:
    """Nothing is lost by that, so nobody is warned."""

    async def main() -> None:
        stream = process.signal(USR1)
        del stream
        await turns()
        assert signal.getsignal(USR1) == signal.SIG_DFL

    run(main)


def test_a_sleeping_loop_is_woken_whoever_gets_the_signal(run: Run) -> None:
    """Also when it comes to a thread that is not the main one."""

    async def main() -> int:
        with process.signal(USR1) as stream:
            go = threading.Event()

            def from_thread() -> None:
                go.wait()
                # To this very thread, not to the process.
                signal.pthread_kill(threading.get_ident(), USR1)
                threading.Event().wait(0.2)

            thread = threading.Thread(target=from_thread)
            thread.start()
            # In the loop's last turn before it sleeps.
            asyncio.get_running_loop().call_soon(go.set)
            index, _ = await select(stream.recv(), sleep(60))
            thread.join()
            return index

    assert run(main) == 0


def test_ctrl_c_is_waited_for_once(run: Run) -> None:
    """Then it stops the program again."""

    async def main() -> None:
        waiting = process.ctrl_c()
        assert await select(waiting, sleep(0.001)) == (1, None)
        fire(signal.SIGINT)
        await waiting

    run(main)


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGFPE, 0, 999]
)
def test_what_nobody_can_hear_is_refused(run: Run, number: int) -> None:
    """At the call, and by its number."""

    async def main() -> None:
        with pytest.raises(SignalError) as caught:
            process.signal(number)
        assert caught.value.number == number

    run(main)


def test_sigchld_is_refused_where_the_loop_needs_it(
    run: Run, loop_kind: LoopKind
) -> None:
    """On uvloop, which finds its own children by it."""

    async def main() -> None:
        if loop_kind.uvloop:
            with pytest.raises(SignalError, match=r"Child\.wait"):
                process.signal(signal.SIGCHLD)
            return
        with process.signal(signal.SIGCHLD) as stream:
            await process.Command("true").status()
            assert await stream.recv() == signal.SIGCHLD

    run(main)


def test_real_time_signals_have_no_name(run: Run) -> None:
    """And are heard all the same."""

    async def main() -> int:
        with process.signal(signal.SIGRTMIN + 3) as stream:
            assert repr(stream) == f"<SignalStream signal {signal.SIGRTMIN + 3} open>"
            fire(signal.SIGRTMIN + 3)
            return await stream.recv()

    assert run(main) == signal.SIGRTMIN + 3


def test_another_thread_is_told_what_to_do(run: Run) -> None:
    """Python lets only the main thread have signals."""

    def listen() -> None:
        async def main() -> None:
            with pytest.raises(MisuseError, match="on the main thread"):
                process.signal(USR1)

        asyncio.run(main())

    run(spawn_blocking, listen)


@pytest.mark.parametrize("uvloop", [False, True])
def test_run_stops_and_a_listener_hears_it_too(uvloop: bool) -> None:
    """A stream of SIGTERM beside the token."""
    source = f"""
import os, signal, sumida
from sumida import process

async def main():
    token = sumida.shutdown_token()
    with process.signal(signal.SIGTERM) as stream:
        os.kill(os.getpid(), signal.SIGTERM)
        print(await stream.recv(), flush=True)
        await token.cancelled()

sumida.run(main, uvloop={uvloop})
"""
    done = subprocess.run(  # noqa: S603  # this interpreter
        [sys.executable, "-c", source], capture_output=True, check=False, timeout=60
    )

    assert (done.returncode, done.stdout) == (0, b"15\n")
