"""A scripted peer says what it should, and takes only what it expects."""

import asyncio
import random

import pytest

from sumida.testing import Script, run_paused
from tests.support import Run


def test_a_conversation_is_followed(run: Run) -> None:
    """What is read and written in the order of the script passes."""
    script = Script().write(b"hello\n").read(b"hi\nho\n").write(b"bye")

    async def main() -> list[bytes]:
        reader, writer = script.build()
        writer.write(b"hel")
        writer.writelines([b"lo", b"\n"])
        await writer.drain()
        lines = [await reader.readline(), await reader.readuntil(b"\n")]
        writer.write(b"bye")
        assert reader.at_eof()
        writer.close()
        await writer.wait_closed()
        assert writer.is_closing()
        return [*lines, await reader.read(10)]

    lines = run(main)

    script.assert_done()
    assert lines == [b"hi\n", b"ho\n", b""]


def test_a_wrong_byte_is_shown() -> None:
    """What was written instead is in the error, with its place."""
    _, writer = Script().write(b"abc").build()
    writer.write(b"a")

    with pytest.raises(AssertionError, match=r"at byte 1: b'X' was written, expected"):
        writer.write(b"X")


def test_what_is_not_expected_is_refused() -> None:
    """Writing where the script reads is an error, and so are steps left over."""
    script = Script().read(b"abc")
    _, writer = script.build()

    with pytest.raises(AssertionError, match="expects nothing"):
        writer.write(b"X")
    with pytest.raises(AssertionError, match="left"):
        script.assert_done()


@pytest.mark.parametrize("split", [1, 3, random.Random(7)])  # noqa: S311  # a seed
def test_splits_change_nothing(run: Run, split: int | random.Random) -> None:
    """However the peer's bytes are cut, a reader that loops gets them all."""

    async def main() -> tuple[bytes, bytes]:
        reader, _ = Script(split).read(b"0123456789").build()
        return await reader.readexactly(4), await reader.read()

    assert run(main) == (b"0123", b"456789")


def test_errors_come_where_the_script_says(run: Run) -> None:
    """Reading and writing fail with the given errors."""

    async def main() -> None:
        reader, writer = (
            Script()
            .read(b"a")
            .read_error(ConnectionResetError("gone"))
            .write_error(BrokenPipeError("gone"))
            .build()
        )
        assert await reader.read(1) == b"a"
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.write(b"x")
        with pytest.raises(BrokenPipeError):
            await writer.drain()

    run(main)


def test_the_peer_can_be_slow() -> None:
    """A wait takes its time, by the loop's clock."""

    async def main() -> float:
        reader, _ = Script().wait(60).read(b"late").build()
        assert await reader.read(4) == b"late"
        return asyncio.get_running_loop().time()

    assert run_paused(main) == 60


def test_an_early_end_is_told(run: Run) -> None:
    """Too few bytes for `readexactly` or `readuntil` raise with what came."""

    async def main() -> bytes:
        reader, writer = Script().read(b"abc").build()
        assert writer.get_extra_info("peername") == ("127.0.0.1", 0)
        assert writer.get_extra_info("other") is None
        with pytest.raises(asyncio.IncompleteReadError) as error:
            await reader.readexactly(5)
        return error.value.partial

    assert run(main) == b"abc"
