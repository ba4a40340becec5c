"""The phases of a program's end, in whole programs."""

from tests.process.programs import TERM, Program, loops

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
        begun = time.monotonic()
        try:
            await asyncio.sleep(1000)
        finally:
            # The timers of uvloop may be a millisecond early.
            in_time = time.monotonic() - begun > 0.15 - 0.01
            say("slow was cut" if in_time else "slow was cut too early")

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


@loops
def test_main_is_cancelled_when_its_grace_is_over(uvloop: bool) -> None:
    """Not before; and has its time to clean up then."""
    body = """
    async def main():
        token = sumida.shutdown_token()
        say("ready")
        await token.cancelled()
        begun = time.monotonic()
        try:
            await asyncio.sleep(1000)
        finally:
            say(f"in time: {time.monotonic() - begun > 0.2 - 0.01}")
            await asyncio.sleep(0.1)
            say("cleaned up")
    """
    program = Program(body, uvloop=uvloop, grace=0.2, force_after=30)
    program.wait_for("ready")
    program.send(TERM)

    said = ["in time: True", "cleaned up"]
    assert program.finish()[:2] == (128 + TERM, said)
