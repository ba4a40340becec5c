"""Our ends of a child's streams."""

import os
import resource

import pytest

from sumida.errors import Closed, Disconnected, MisuseError
from sumida.process import Command
from tests.process.support import descriptors
from tests.support import Run


def test_a_large_output_is_streamed_in_constant_memory(run: Run) -> None:
    """What is not read stays with the child, which waits."""

    async def main() -> tuple[int, int]:
        size = 64 << 20
        total = most = 0
        command = Command("head", "-c", str(size), "/dev/zero").stdout("pipe")
        async with command.spawn() as child:
            assert child.stdout is not None
            while piece := await child.stdout.read():
                total += len(piece)
                most = max(most, child.stdout.buffered)
        return total, most

    total, most = run(main)
    assert total == 64 << 20
    assert most <= 512 * 1024


@pytest.mark.slow
def test_a_gibibyte_is_streamed_in_constant_memory(run: Run) -> None:
    """The peak of our own memory does not rise by more than a few MiB."""

    async def main() -> int:
        total = 0
        command = Command("head", "-c", str(1 << 30), "/dev/zero").stdout("pipe")
        async with command.spawn() as child:
            assert child.stdout is not None
            while piece := await child.stdout.read():
                total += len(piece)
        return total

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert run(main) == 1 << 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


def test_nothing_is_read_before_somebody_asks(run: Run) -> None:
    """So it can still be given to another child."""

    async def main() -> int:
        async with Command("echo", "hello").stdout("pipe").spawn() as child:
            await child.wait()
            assert child.stdout is not None
            return child.stdout.buffered

    assert run(main) == 0


def test_output_can_be_read_after_the_end(run: Run) -> None:
    """The end of the child is not the end of what it wrote."""

    async def main() -> bytes:
        async with Command("echo", "hello").stdout("pipe").spawn() as child:
            (await child.wait()).check()
            assert child.stdout is not None
            return await child.stdout.read_to_end()

    assert run(main) == b"hello\n"


def test_writing_waits_for_a_child_that_does_not_read(run: Run) -> None:
    """And goes on when it does; shutdown ends it."""

    async def main() -> bytes:
        command = Command("sh", "-c", "read x; exec wc -c")
        command = command.stdin("pipe").stdout("pipe")
        async with command.spawn() as child:
            assert child.stdin is not None
            assert child.stdout is not None
            await child.stdin.write_all(b"\n")
            await child.stdin.write_all(bytes(3 << 20))
            await child.stdin.shutdown()
            with pytest.raises(Closed):
                await child.stdin.write_all(b"x")
            return await child.stdout.read_to_end()

    assert int(run(main)) == 3 << 20


def test_a_child_that_stops_reading_is_a_disconnect(run: Run) -> None:
    """A broken pipe has the same error as a broken connection."""

    async def main() -> None:
        async with Command("true").stdin("pipe").spawn() as child:
            stdin = child.take_stdin()
            await child.wait()
            with pytest.raises(Disconnected):
                await stdin.write_all(bytes(1 << 20))
            with pytest.raises(Disconnected):
                await stdin.shutdown()

    run(main)


def test_reading_what_was_closed_is_refused(run: Run) -> None:
    """And closing twice does no harm."""

    async def main() -> None:
        async with Command("cat").stdin("pipe").stdout("pipe").spawn() as child:
            assert child.stdout is not None
            child.stdout.close()
            child.stdout.close()
            await child.stdout.wait_closed()
            with pytest.raises(Closed):
                await child.stdout.read()
            with pytest.raises(MisuseError, match="cannot be given away"):
                child.stdout.into_fd()

    run(main)


def test_a_stream_as_a_block_is_closed_at_its_end(run: Run) -> None:
    """Ours of the child; it reads the end then."""

    async def main() -> bytes:
        async with Command("cat").stdin("pipe").stdout("pipe").spawn() as child:
            async with child.take_stdin() as stdin:
                await stdin.write_all(b"x")
            assert child.stdout is not None
            return await child.stdout.read_to_end()

    assert run(main) == b"x"


def test_descriptors_given_away_block(run: Run) -> None:
    """As every program expects of what it inherits."""

    async def main() -> tuple[bool, bool]:
        before = descriptors()
        async with Command("cat").stdin("pipe").stdout("pipe").spawn() as child:
            assert child.stdin is not None
            assert child.stdout is not None
            write, read = child.stdin.into_fd(), child.stdout.into_fd()
            blocking = os.get_blocking(write), os.get_blocking(read)
            os.close(write)
            os.close(read)
        assert descriptors() == before
        return blocking

    assert run(main) == (True, True)
