"""However a program is stuck, it is gone when its time is over."""

import time
from dataclasses import dataclass
from typing import final

import pytest

from tests.process.programs import (
    FORCE_AFTER,
    GRACE,
    INT,
    PATIENCE,
    TERM,
    Program,
    both,
    loops,
)
from tests.process.support import is_dead


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
            # Said when the main thread is inside.
            timer = threading.Timer(0.2, say, ["ready"])
            timer.daemon = True
            timer.start()
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
    begun = time.monotonic()
    program.send(TERM)
    status, said, err = program.finish()

    assert status == 128 + TERM
    assert time.monotonic() - begun >= GRACE + FORCE_AFTER, "it had less than its time"
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
    assert "thread MainThread:" in err


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
    while not is_dead(grandchild):  # it is killed, but need not be gone yet
        pass


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


@pytest.mark.slow
def test_a_c_function_that_keeps_the_interpreter_is_ended_too() -> None:
    """No thread of Python can do it then: a timer without the lock does, later."""
    body = """
    import ctypes

    async def main():
        token = sumida.shutdown_token()
        say("ready")
        await token.cancelled()
        ctypes.PyDLL(None).sleep(1000)
    """
    program = Program(body, uvloop=False, grace=0.1, force_after=0.1)
    program.wait_for("ready")
    program.send(TERM)
    status, _, err = program.finish()

    assert status == 1
    assert "in main" in err
