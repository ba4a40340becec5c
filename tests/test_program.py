"""Whole programs: what run() returns, and what signals do."""

import asyncio
import logging
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Coroutine

import pytest

import sumida
from sumida import CancellationToken, shutdown_token
from sumida.errors import MisuseError

PATIENCE = 60
"""Seconds after which a program that should have ended is a failure."""


async def give(value: int) -> int:
    """Give the value back."""
    return value


@pytest.mark.parametrize("uvloop", [False, None])
def test_run_gives_what_main_gives(uvloop: bool | None) -> None:
    """With its arguments, on either loop."""
    assert sumida.run(give, 3, uvloop=uvloop) == 3


def test_an_error_of_main_comes_out() -> None:
    """As it is."""

    async def main() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        sumida.run(main)


def test_an_exit_code_is_asked_for() -> None:
    """An int is only an exit code with `exit=True`."""
    with pytest.raises(SystemExit) as error:
        sumida.run(give, 4, exit=True)

    assert error.value.code == 4


def test_misuse_is_refused() -> None:
    """What is no async function, a bad grace, and a loop within a loop."""
    with pytest.raises(TypeError, match="async function"):
        sumida.run(3)  # type: ignore[arg-type]  # the mistake
    with pytest.raises(TypeError, match="it gave 5"):
        sumida.run(lambda: 5)  # type: ignore[arg-type, return-value]  # the mistake
    with pytest.raises(TypeError, match="do not call it"):
        # And nothing is said of a coroutine that was never awaited.
        sumida.run(give(1))  # type: ignore[arg-type]  # the mistake
    with pytest.raises(ValueError, match="-1"):
        sumida.run(give, 1, grace=-1)
    with pytest.raises(ValueError, match="-2"):
        sumida.run(give, 1, force_after=-2)

    async def nested() -> None:
        with pytest.raises(MisuseError, match="runs already"):
            sumida.run(give, 1)

    asyncio.run(nested())


def test_the_token_belongs_to_a_program() -> None:
    """Inside it is the same for all; outside there is none."""

    async def main() -> tuple[CancellationToken, CancellationToken]:
        return shutdown_token(), await asyncio.create_task(other())

    async def other() -> CancellationToken:
        return shutdown_token()

    one, two = sumida.run(main)

    assert one is two
    assert not one.is_cancelled
    with pytest.raises(MisuseError, match=r"outside of sumida\.run"):
        shutdown_token()


def test_tasks_left_behind_are_named_and_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They are cancelled, and awaited."""
    ended: list[str] = []

    async def main() -> None:
        async def forgotten() -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ended.append("cleaned up")

        task = asyncio.create_task(forgotten(), name="forgotten")
        await asyncio.sleep(0)
        del task

    with caplog.at_level(logging.WARNING, "sumida"):
        sumida.run(main, uvloop=False)

    assert ended == ["cleaned up"]
    assert "forgotten" in caplog.text


def test_it_runs_outside_of_the_main_thread() -> None:
    """Without signals."""
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(sumida.run(give, 5)))
    thread.start()
    thread.join(PATIENCE)

    assert seen == [5]


def test_signal_handlers_are_given_back(request: pytest.FixtureRequest) -> None:
    """After the program they are what they were: Python's own, not the runner's."""
    restore = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, restore))
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    sumida.run(give, 1)

    after = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert after == before


@pytest.mark.parametrize("uvloop", [False, None])
def test_a_signal_before_the_first_step_of_main_is_not_lost(
    uvloop: bool | None,
) -> None:
    """It cancels main, which has not begun."""

    def main() -> Coroutine[object, object, None]:
        signal.raise_signal(signal.SIGTERM)
        return never()

    async def never() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(SystemExit) as caught:
        sumida.run(main, uvloop=uvloop, force_after=None)

    assert caught.value.code == 128 + signal.SIGTERM


PROGRAM = """
import asyncio, signal, sys
import sumida

def say(text):
    print(text, flush=True)

{body}

sumida.run(main, uvloop={uvloop}, grace={grace})
say("returned")
"""

GRACEFUL = """
async def main():
    token = sumida.shutdown_token()
    say("ready")
    await token.cancelled()
    say(f"stopping: {token.reason}")
"""

DEAF = """
async def main():
    say("ready")
    try:
        await asyncio.Event().wait()
    finally:
        say("cleaned up")
"""

STUBBORN = """
async def main():
    token = sumida.shutdown_token()
    say("ready")
    await token.cancelled()
    say("asked")
    try:
        await asyncio.Event().wait()
    finally:
        say("cleaned up")
"""

BLOCKED = """
async def main():
    token = sumida.shutdown_token()
    say("ready")
    while True:
        pass
"""


class Child:
    """A program in a process of its own."""

    def __init__(self, body: str, *, uvloop: bool, grace: float = 30) -> None:
        source = PROGRAM.format(
            body=textwrap.dedent(body), uvloop=uvloop or False, grace=grace
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

    def finish(self) -> tuple[int, list[str]]:
        """Wait for its end; the exit status, and what else it said."""
        out, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out.split("\n")[:-1]


both_loops: Callable[..., pytest.MarkDecorator] = pytest.mark.parametrize
loops = both_loops("uvloop", [False, True], ids=["asyncio", "uvloop"])


@loops
def test_the_first_signal_asks(uvloop: bool) -> None:
    """A program that hears the token ends by itself; SIGTERM is no failure."""
    child = Child(GRACEFUL, uvloop=uvloop)
    child.wait_for("ready")
    child.send(signal.SIGTERM)

    assert child.finish() == (0, ["stopping: SIGTERM received", "returned"])


@loops
def test_a_graceful_ctrl_c_is_130(uvloop: bool) -> None:
    """A shell knows then that it was interrupted."""
    child = Child(GRACEFUL, uvloop=uvloop)
    child.wait_for("ready")
    child.send(signal.SIGINT)

    assert child.finish() == (130, ["stopping: SIGINT received"])


@loops
def test_a_program_that_never_asked_is_cancelled_at_once(uvloop: bool) -> None:
    """One Ctrl-C is enough; what it holds is cleaned up."""
    child = Child(DEAF, uvloop=uvloop)
    child.wait_for("ready")
    child.send(signal.SIGINT)

    assert child.finish() == (130, ["cleaned up"])


@loops
def test_the_second_signal_cancels_main(uvloop: bool) -> None:
    """Whatever it waits for."""
    child = Child(STUBBORN, uvloop=uvloop)
    child.wait_for("ready")
    child.send(signal.SIGTERM)
    child.wait_for("asked")
    child.send(signal.SIGTERM)

    assert child.finish() == (143, ["cleaned up"])


@loops
def test_after_the_grace_main_is_cancelled(uvloop: bool) -> None:
    """Without a second signal."""
    child = Child(STUBBORN, uvloop=uvloop, grace=0.01)
    child.wait_for("ready")
    child.send(signal.SIGTERM)

    assert child.finish() == (143, ["asked", "cleaned up"])


@loops
def test_the_third_signal_ends_a_blocked_loop(uvloop: bool) -> None:
    """It does not wait for the loop."""
    child = Child(BLOCKED, uvloop=uvloop)
    child.wait_for("ready")
    while child.process.poll() is None:
        child.send(signal.SIGTERM)

    status, said = child.finish()
    assert status in {143, -signal.SIGTERM}
    assert said == []


def test_a_task_that_ends_the_program_lets_it_clean_up() -> None:
    """Main is cancelled, and the phases run; the code is the task's."""
    seen: list[str] = []

    async def stop() -> None:
        await asyncio.sleep(0)
        raise SystemExit(7)

    async def main() -> None:
        sumida.shutdown_phase("flush", lambda: seen.append("flush"), deadline=1)
        try:
            async with sumida.JoinSet[None]() as tasks:
                tasks.spawn(stop())
        finally:
            seen.append("main")

    with pytest.raises(SystemExit) as raised:
        sumida.run(main, uvloop=False)

    assert raised.value.code == 7
    assert seen == ["main", "flush"]
