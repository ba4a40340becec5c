"""The same where the kernel has less to offer."""

import signal
from collections.abc import Iterator

import pytest

from sumida import JoinSet
from sumida.process import Command, ExitStatus, _handle
from tests.process.support import descriptors, is_dead, zombies
from tests.support import Run


@pytest.fixture(params=["no pidfd", "no signals to groups", "neither"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Take away what newer kernels have."""
    lacks: str = request.param
    if lacks != "no signals to groups":
        monkeypatch.setattr(_handle, "_open_pidfd", lambda _: None)
    if lacks != "no pidfd":
        monkeypatch.setattr(_handle._kernel, "signals_groups", False)
    return lacks


@pytest.fixture(autouse=True)
def _leaves_nothing(kernel: str) -> Iterator[None]:
    before = descriptors()
    yield
    assert zombies() == []
    assert descriptors() == before, kernel


def test_many_are_waited_for(run: Run) -> None:
    """Each by a thread of its own."""

    async def one(n: int) -> int | None:
        return (await Command("sh", "-c", f"exit {n}").status()).code

    async def main() -> list[int | None]:
        async with JoinSet[int | None]() as tasks:
            for n in range(50):
                tasks.spawn(one(n))
            return await tasks.join_all()

    assert run(main) == list(range(50))


def test_a_group_is_ended(run: Run) -> None:
    """With its leader, or after it."""

    async def main() -> list[int]:
        pids = []
        for script in ("sleep 1000 & echo $!; wait", "sleep 1000 & echo $!; exit 3"):
            command = Command("sh", "-c", script).stdout("pipe")
            async with command.spawn() as child:
                assert child.stdout is not None
                pids.append(int(await child.stdout.read_line()))
                if "exit" in script:
                    assert await child.wait() == ExitStatus(3)
            assert child.is_gone
        return pids

    assert all(map(is_dead, run(main)))


def test_signals_go_to_the_child(run: Run) -> None:
    """And to nobody once it has ended."""

    async def main() -> ExitStatus:
        async with Command("sleep", "1000").spawn() as child:
            assert child.signal(signal.SIGUSR1)
            status = await child.wait()
            assert not child.signal(signal.SIGUSR1)
        return status

    assert run(main) == ExitStatus(None, signal.SIGUSR1)
