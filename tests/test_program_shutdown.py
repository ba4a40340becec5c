"""However a program is stuck, it is gone when its time is over."""

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import pytest

PATIENCE = 60
"""Seconds after which a program that should have ended is a failure."""

PROGRAM = """
import asyncio, atexit, hashlib, signal, sys, threading, time
import sumida

def say(text):
    print(text, flush=True)

def for_ever():
    while True:
        time.sleep(1000)

{body}

sumida.run(main, uvloop={uvloop}, grace={grace}, force_after={force_after})
say("returned")
"""

GRACE = 0.2
FORCE_AFTER = 0.3
TERM = signal.SIGTERM
INT = signal.SIGINT


@final
class Program:
    """A program in a process of its own."""

    def __init__(
        self,
        body: str,
        *,
        uvloop: bool,
        grace: float = GRACE,
        force_after: float | None = FORCE_AFTER,
    ) -> None:
        source = PROGRAM.format(
            body=textwrap.dedent(body),
            uvloop=uvloop,
            grace=grace,
            force_after=force_after,
        )
        self.process = subprocess.Popen(  # noqa: S603  # this interpreter
            [sys.executable, "-c", source],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, line: str) -> None:
        """Read lines until `line`."""
        assert self.process.stdout is not None
        for said in self.process.stdout:
            if said.strip() == line:
                return
        raise AssertionError(f"{line!r} was not said: {self.finish()}")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def finish(self) -> tuple[int, list[str], str]:
        """Wait for its end; the exit status, what else it said, and its stderr."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out.split("\n")[:-1], err


both: Callable[..., pytest.MarkDecorator] = pytest.mark.parametrize
loops = both("uvloop", [False, True], ids=["asyncio", "uvloop"])


@final
@dataclass(frozen=True, slots=True)
class Situation:
    """A way to be stuck; the report must name `seen`."""

    name: str
    body: str
    seen: str
    says: tuple[str, ...] = ()


STUCK = (
    Situation(
        "a task that ignores its cancel",
        """
        async def main():
            token = sumida.shutdown_token()
            say("ready")
            while True:
                try:
                    await asyncio.sleep(1000)
                except asyncio.CancelledError:
                    say("ignored")
        """,
        "in main (",
        ("ignored",),
    ),
    Situation(
        "a loop that is blocked by Python code",
        """
        async def main():
            say("ready")
            while True:
                pass
        """,
        "in main",
    ),
    Situation(
        "a main thread in a C function that no signal interrupts",
        """
        async def main():
            say("ready")
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
        """,
        "in main",
    ),
    Situation(
        "a thread of spawn_blocking",
        """
        async def main():
            token = sumida.shutdown_token()
            task = asyncio.create_task(sumida.spawn_blocking(for_ever))
            await asyncio.sleep(0.05)
            say("ready")
            await token.cancelled()
        """,
        "daemon thread sumida-blocking-1:",
    ),
    Situation(
        "a thread that is no daemon",
        """
        async def main():
            token = sumida.shutdown_token()
            threading.Thread(target=for_ever, name="mine").start()
            say("ready")
            await token.cancelled()
        """,
        "thread mine:",
        ("returned",),
    ),
    Situation(
        "asyncio's own executor",
        """
        async def main():
            token = sumida.shutdown_token()
            asyncio.get_running_loop().run_in_executor(None, for_ever)
            say("ready")
            await token.cancelled()
        """,
        "in for_ever",
    ),
    Situation(
        "an executor that is joined at the interpreter's end",
        """
        from concurrent.futures import ThreadPoolExecutor

        async def main():
            token = sumida.shutdown_token()
            ThreadPoolExecutor(thread_name_prefix="pool").submit(for_ever)
            say("ready")
            await token.cancelled()
        """,
        "thread pool_0:",
        ("returned",),
    ),
    Situation(
        "an atexit function",
        """
        atexit.register(for_ever)

        async def main():
            token = sumida.shutdown_token()
            say("ready")
            await token.cancelled()
        """,
        "in for_ever",
        ("returned",),
    ),
)


@loops
@both("stuck", STUCK, ids=lambda stuck: stuck.name)
def test_what_is_stuck_is_named_and_ended(stuck: Situation, uvloop: bool) -> None:
    """Its stack goes to stderr, and the status is 128 + the signal."""
    program = Program(stuck.body, uvloop=uvloop)
    program.wait_for("ready")
    program.send(TERM)
    status, said, err = program.finish()

    assert status == 128 + TERM
    assert said == list(stuck.says)
    assert "sumida: SIGTERM, the first signal" in err
    assert stuck.seen in err


@loops
def test_the_third_signal_does_not_wait(uvloop: bool) -> None:
    """Whatever deadlines there are."""
    program = Program(STUCK[0].body, uvloop=uvloop, grace=1000, force_after=1000)
    program.wait_for("ready")
    # Two of one kind may come as one: the kernel keeps no count.
    program.send(INT)
    program.send(TERM)
    program.wait_for("ignored")
    program.send(INT)
    status, _, err = program.finish()

    assert status == 128 + INT
    assert "sumida: SIGINT, the first signal" in err


@loops
def test_signals_at_the_very_end_count_too(uvloop: bool) -> None:
    """After main, in the interpreter's own wait for a thread."""
    program = Program(STUCK[4].body, uvloop=uvloop, grace=1000, force_after=1000)
    program.wait_for("ready")
    program.send(TERM)
    program.wait_for("returned")
    program.send(TERM)
    program.send(INT)
    status, _, err = program.finish()

    # Two that wait are delivered by their numbers, not in the order of sending.
    assert status in {128 + INT, 128 + TERM}
    assert "thread mine:" in err


@loops
def test_a_signal_before_main_is_heard_in_main(uvloop: bool) -> None:
    """Where main is only being called, and even before there is a loop."""
    body = """
    def main():
        say("ready")
        time.sleep(0.2)
        return later()

    async def later():
        token = sumida.shutdown_token()
        await token.cancelled()
        say(token.reason)
    """
    program = Program(body, uvloop=uvloop, grace=1000, force_after=1000)
    program.wait_for("ready")
    program.send(INT)

    assert program.finish()[:2] == (128 + INT, ["SIGINT received"])


def test_stderr_that_nobody_reads_keeps_nobody() -> None:
    """A full pipe stops the report, not the end."""
    body = """
    import os

    async def main():
        os.set_blocking(2, False)
        try:
            while True:
                os.write(2, b"x" * 65536)
        except BlockingIOError:
            os.set_blocking(2, True)
        say("ready")
        while True:
            pass
    """
    program = Program(body, uvloop=False)
    program.wait_for("ready")
    program.send(TERM)

    assert program.process.wait(PATIENCE) == 128 + TERM
    program.finish()


def test_a_lock_of_stdout_that_is_held_keeps_nobody() -> None:
    """The report does not go through `sys.stderr`, whose lock a thread may hold."""
    body = """
    import os

    async def main():
        read, write = os.pipe()
        sys.stdout.flush()
        say("ready")
        os.dup2(write, 1)
        print("x" * 1_000_000, flush=True)
    """
    program = Program(body, uvloop=False)
    program.wait_for("ready")
    program.send(TERM)
    status, _, err = program.finish()

    assert status == 128 + TERM
    assert "in main" in err


def test_children_do_not_outlive_an_end_by_force() -> None:
    """Their groups are killed first."""
    body = """
    from sumida.process import Command

    async def main():
        command = Command("sh", "-c", "sleep 1000 & echo $!; wait")
        child = await command.stdout("pipe").spawn()
        say("ready")
        say((await child.stdout.read_line()).decode().strip())
        while True:
            pass
    """
    program = Program(body, uvloop=False)
    program.wait_for("ready")
    assert program.process.stdout is not None
    grandchild = int(program.process.stdout.readline())
    program.send(TERM)
    status, _, err = program.finish()

    assert status == 128 + TERM
    assert "was killed" in err
    assert is_dead(grandchild)


def is_dead(pid: int) -> bool:
    """Whether a process has ended; it may still be unreaped."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  # of the kernel
            return file.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except FileNotFoundError:
        return True


def test_a_forked_child_does_not_stop_its_parent() -> None:
    """It has the signals as they were, and shares no descriptor with us."""
    body = """
    import os

    async def main():
        pid = os.fork()
        if not pid:
            signal.raise_signal(signal.SIGTERM)
            os._exit(1)
        _, status = os.waitpid(pid, 0)
        await asyncio.sleep(0.05)
        say(f"{status} {sumida.shutdown_token().is_cancelled}")
    """
    program = Program(body, uvloop=False)

    assert program.finish()[:2] == (0, [f"{TERM.value} False", "returned"])


PHASED = """
async def main():
    token = sumida.shutdown_token()

    async def stop():
        say("stop accepting")
        await asyncio.sleep(0.05)
        say("stopped")

    async def drain():
        say("drain")
        await asyncio.sleep(0.05)
        say("drained")

    async def slow():
        try:
            await asyncio.sleep(1000)
        finally:
            say("slow was cut")

    def flush():
        say("flush")

    async def ack():
        say("ack")
        raise OSError("no disk")

    sumida.shutdown_phase("flush", flush, deadline=1)
    sumida.shutdown_phase("ack", ack, deadline=1, before="flush")
    sumida.shutdown_phase("drain", drain, deadline=5)
    sumida.shutdown_phase("drain", slow, deadline=0.15)
    sumida.shutdown_phase("stop accepting", stop, deadline=5)
    sumida.shutdown_phase("last", lambda: say("last"), deadline=1)
    with sumida.shutdown_phase("drain", lambda: say("never"), deadline=1):
        pass
    say("ready")
    {wait}
    say("main is over")
"""

IN_ORDER = [
    "stop accepting",
    "stopped",
    "drain",
    "drained",
    "slow was cut",
    "ack",
    "flush",
    "last",
    "returned",
]


@loops
def test_phases_run_in_order_beside_main(uvloop: bool) -> None:
    """A late one is cut at its deadline, a failed one does not stop the next."""
    body = PHASED.format(wait="await token.cancelled()")
    program = Program(body, uvloop=uvloop, grace=30, force_after=30)
    program.wait_for("ready")
    program.send(TERM)
    status, said, err = program.finish()

    assert status == 0
    assert [line for line in said if line != "main is over"] == IN_ORDER
    assert "drain: main.<locals>.slow was cut off after 0." in err
    assert "ack: main.<locals>.ack failed with OSError('no disk')" in err


@loops
def test_phases_run_without_a_signal_too(uvloop: bool) -> None:
    """When main has ended, in whatever way."""
    program = Program(PHASED.format(wait="pass"), uvloop=uvloop)
    status, said, _ = program.finish()

    assert (status, said) == (0, ["ready", "main is over", *IN_ORDER])


@loops
def test_a_main_that_does_not_listen_ends_after_the_phases(uvloop: bool) -> None:
    """It is cancelled then, not before."""
    body = """
    async def main():
        async def drain():
            await asyncio.sleep(0.1)
            say("drained")
        sumida.shutdown_phase("drain", drain, deadline=5)
        say("ready")
        try:
            await asyncio.sleep(1000)
        finally:
            say("main is cancelled")
    """
    program = Program(body, uvloop=uvloop, grace=30, force_after=30)
    program.wait_for("ready")
    program.send(TERM)

    said = ["drained", "main is cancelled"]
    assert program.finish()[:2] == (128 + TERM, said)


@loops
def test_the_second_signal_hurries_a_phase_and_not_the_next(uvloop: bool) -> None:
    """What flushes has its time all the same."""
    body = """
    async def main():
        token = sumida.shutdown_token()
        async def drain():
            say("drain")
            await asyncio.sleep(1000)
        async def flush():
            await asyncio.sleep(0.05)
            say("flushed")
        sumida.shutdown_phase("drain", drain, deadline=1000)
        sumida.shutdown_phase("flush", flush, deadline=1000)
        say("ready")
        await token.cancelled()
    """
    program = Program(body, uvloop=uvloop, grace=1000, force_after=1000)
    program.wait_for("ready")
    program.send(TERM)
    program.wait_for("drain")
    program.send(TERM)
    status, said, err = program.finish()

    assert (status, said) == (0, ["flushed", "returned"])
    assert "drain was cancelled after" in err


@loops
def test_a_phase_that_does_not_stop_keeps_only_itself(uvloop: bool) -> None:
    """The next begins; the end by force tells of all."""
    body = """
    async def main():
        token = sumida.shutdown_token()
        async def drain():
            while True:
                try:
                    await asyncio.sleep(1000)
                except asyncio.CancelledError:
                    pass
        async def flush():
            say("flush")
            await asyncio.sleep(1000)
        sumida.shutdown_phase("drain", drain, deadline=0.05)
        sumida.shutdown_phase("flush", flush, deadline=1000)
        sumida.shutdown_phase("last", flush, deadline=1000)
        say("ready")
        await token.cancelled()
    """
    program = Program(body, uvloop=uvloop)
    program.wait_for("ready")
    program.send(TERM)
    status, said, err = program.finish()

    assert (status, said) == (128 + TERM, ["flush"])
    assert "shutdown: drain: main.<locals>.drain does not stop after" in err
    assert "shutdown: flush: main.<locals>.flush has been running for" in err
    assert "shutdown: last: main.<locals>.flush has not begun" in err
