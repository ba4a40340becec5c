"""A change of a file or folder is told, whichever way it came about."""

import asyncio
import contextlib
import gc
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from sumida import select
from sumida.errors import Closed
from sumida.io import Watch, _watchers, watch, watching
from sumida.io._changes import Board
from sumida.io._inotify import Inotify, parse
from sumida.io._places import Place, places
from sumida.testing import Outcome, cancel_everywhere
from tests.io.counting import descriptors, wait_for_descriptors
from tests.support import Run

Opener = Callable[[Path], object]

needs_inotify = pytest.mark.skipif(
    sys.platform != "linux", reason="inotify is Linux's own"
)


@pytest.fixture(params=[None, 0.01], ids=["inotify", "polling"])
def poll(request: pytest.FixtureRequest) -> float | None:
    """Give each way of learning of changes."""
    if request.param is None and sys.platform != "linux":
        pytest.skip("inotify is Linux's own")
    period: float | None = request.param
    return period


def write(path: Path) -> None:
    """Write a file in place."""
    path.write_text("something new, and longer")


def replace(path: Path) -> None:
    """Save as an editor does."""
    draft = path.with_name(".draft")
    draft.write_text("something new, and longer")
    draft.rename(path)


def append(path: Path) -> None:
    """Write to the end, as a log does."""
    with path.open("a") as file:
        file.write("more")


@pytest.mark.parametrize(
    "change", [write, replace, append, Path.unlink], ids=lambda change: change.__name__
)
def test_a_changed_file_is_told(
    run: Run, tmp_path: Path, poll: float | None, change: Opener
) -> None:
    """Written, replaced, appended to or removed."""

    async def main() -> frozenset[Path]:
        path = tmp_path / "app.toml"
        path.write_text("old")
        async with await watch(path, settle=0.01, poll=poll) as changes:
            change(path)
            return await changes.changed()

    assert run(main) == {tmp_path / "app.toml"}


def test_a_file_may_come_later(run: Run, tmp_path: Path, poll: float | None) -> None:
    """Only its folder has to be there."""

    async def main() -> None:
        path = tmp_path / "later"
        async with await watch(path, settle=0, poll=poll) as changes:
            path.write_text("now")
            assert await changes.changed() == {path}
        with pytest.raises(FileNotFoundError):
            await watch(tmp_path / "no" / "file", poll=poll)

    run(main)


def test_it_goes_on_after_a_replacement(
    run: Run, tmp_path: Path, poll: float | None
) -> None:
    """The second change by a rename is seen as the first."""

    async def main() -> list[str]:
        path = tmp_path / "app.toml"
        path.write_text("0")
        seen: list[str] = []
        async with await watch(path, settle=0.01, poll=poll) as changes:
            for text in ("one", "three", "fifteen"):
                draft = tmp_path / "draft"
                draft.write_text(text)
                draft.rename(path)
                while not seen or seen[-1] != text:
                    await changes.changed()
                    seen.append(path.read_text())
        return sorted(set(seen), key=len)

    assert run(main) == ["one", "three", "fifteen"]


def test_other_files_of_the_folder_are_not_told(
    run: Run, tmp_path: Path, poll: float | None
) -> None:
    """A watch of a file is of that file."""

    async def main() -> frozenset[Path]:
        path = tmp_path / "app.toml"
        async with (
            await watch(path, settle=0, poll=poll) as changes,
            await watch(tmp_path, settle=0, poll=poll) as witness,
        ):
            (tmp_path / "other").write_text("x")
            while tmp_path / "other" not in await witness.changed():
                pass
            assert not changes._board._paths
            path.write_text("y")
            return await changes.changed()

    assert run(main) == {tmp_path / "app.toml"}


def test_entries_of_a_folder_are_told_together(
    run: Run, tmp_path: Path, poll: float | None
) -> None:
    """Those that came, were written and went, once it is quiet."""

    async def main() -> frozenset[Path]:
        (tmp_path / "old").write_text("x")
        (tmp_path / "gone").write_text("x")
        async with await watch(tmp_path, settle=0.1, poll=poll) as changes:
            (tmp_path / "new").write_text("x")
            (tmp_path / "old").write_text("longer")
            (tmp_path / "gone").unlink()
            return await changes.changed()

    assert run(main) == {tmp_path / "old", tmp_path / "new", tmp_path / "gone"}


@pytest.mark.parametrize("is_folder", [False, True], ids=["file", "folder"])
def test_a_changed_link_on_the_way_is_told(
    run: Run, tmp_path: Path, poll: float | None, is_folder: bool
) -> None:
    """As a mounted configuration is replaced: by one link that names its folder."""

    async def main() -> None:
        for release in ("1", "22"):
            (tmp_path / release).mkdir()
            (tmp_path / release / "app.toml").write_text(release)
        (tmp_path / "current").symlink_to("1")
        path = tmp_path / "current"
        if not is_folder:
            (tmp_path / "app.toml").symlink_to("current/app.toml")
            path = tmp_path / "app.toml"
        async with await watch(path, settle=0.01, poll=poll) as changes:
            (tmp_path / "next").symlink_to("22")
            (tmp_path / "next").rename(tmp_path / "current")
            told = await changes.changed()
            if poll is None:
                assert told == {path}
            # And what is behind the new link is watched now.
            target = tmp_path / "22" / "app.toml"
            wanted = path / "app.toml" if is_folder else path
            while True:
                target.write_text("changed again")
                async with asyncio.timeout(10):
                    if wanted in await changes.changed():
                        break

    run(main)


def test_a_folder_may_go_and_come_back(
    run: Run, tmp_path: Path, poll: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked for again and again."""
    monkeypatch.setattr(_watchers, "RETRY", 0.01)

    async def main() -> None:
        folder = tmp_path / "conf"
        folder.mkdir()
        path = folder / "app.toml"
        path.write_text("x")
        async with await watch(path, settle=0, poll=poll) as changes:
            folder.rename(tmp_path / "away")
            assert await changes.changed() == {path}
            folder.mkdir()
            path.write_text("back, and longer")
            while True:
                assert await changes.changed() == {path}
                if path.exists():
                    break
            while changes._watcher._is_looking:
                await asyncio.sleep(0)
            path.write_text("written in the new folder")
            assert await changes.changed() == {path}

    run(main)


def test_it_is_a_branch_of_select(run: Run, tmp_path: Path) -> None:
    """Alone, and as a source of `select.loop`."""

    async def main() -> list[str]:
        path = tmp_path / "app.toml"
        names = []
        async with await watch(path, settle=0) as changes:
            path.write_text("x")
            async with asyncio.timeout(10):
                match await select(
                    change=changes.changed(), other=asyncio.Event().wait()
                ):
                    case (name, _):
                        names.append(name)
                path.write_text("xy")
                async for name, value in select.loop(again=changes):
                    assert value == {path}
                    names.append(name)
                    changes.close()
        return names

    assert run(main) == ["change", "again"]


def test_closing_ends_an_iteration(run: Run, tmp_path: Path) -> None:
    """And a bare wait is told by `Closed`."""

    async def main() -> None:
        changes = await watch(tmp_path / "x")

        async def iterate() -> None:
            async for _ in changes:
                pass

        task = asyncio.create_task(iterate())
        while not len(changes._board.waiters):
            await asyncio.sleep(0)
        changes.close()
        changes.close()
        await task
        with pytest.raises(Closed, match="x"):
            await changes.changed()
        assert repr(changes).startswith("<Watch closed of ")

    run(main)


class WatchWorld:
    """A task waits for a change that is noted by hand."""

    def __init__(self) -> None:
        self.watch: Watch | None = None
        self.path = Path("/nowhere")

    async def subject(self) -> object:
        board = Board("x", asyncio.get_running_loop(), 0)
        self.watch = watch_ = Watch(
            board, _watchers.PollingWatcher(self.path, is_folder=False, period=1)
        )
        return await watch_.changed()

    def wakes(self) -> Sequence[Callable[[], object]]:
        return [self.change]

    def change(self) -> None:
        assert self.watch is not None
        board = self.watch._board
        board.note(self.path)
        if board._timer is not None:
            board._timer.cancel()
            board._look()

    def check(self, outcome: Outcome) -> None:
        if self.watch is not None:
            kept = self.watch._board.take()
            self.watch.close()
            if outcome.was_cancelled:
                assert (kept is not None) == outcome.is_woken


def test_a_cancelled_wait_takes_nothing(run: Run) -> None:
    """Wherever it strikes, the change stays to be taken."""
    assert run(cancel_everywhere, WatchWorld) == 8


@needs_inotify
def test_a_cancelled_watch_leaks_no_descriptor(run: Run, tmp_path: Path) -> None:
    """However far the thread had come."""

    async def main() -> None:
        before = descriptors()
        for steps in range(8):
            task = asyncio.create_task(watch(tmp_path / "x"))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                (await task).close()
        await wait_for_descriptors(before)

    run(main)


@needs_inotify
def test_without_an_instance_it_polls(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel gives each user so many."""

    def refuse(_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Inotify, "__init__", refuse)
    monkeypatch.setattr(watching, "POLL_PERIOD", 0.01)

    async def main() -> None:
        async with await watch(tmp_path / "x", settle=0) as changes:
            assert changes.is_polling
            assert "polling" in repr(changes)
            (tmp_path / "x").write_text("x")
            assert await changes.changed() == {tmp_path / "x"}

    run(main)


@needs_inotify
def test_one_that_is_forgotten_is_closed(run: Run, tmp_path: Path) -> None:
    """With a warning, and without a leak."""

    async def main() -> None:
        before = descriptors()
        changes = await watch(tmp_path / "x")
        assert not changes.is_polling
        with pytest.warns(ResourceWarning, match="collected while open"):
            del changes
            gc.collect()
        await wait_for_descriptors(before)

    run(main)


@needs_inotify
def test_lost_events_mean_anything(run: Run, tmp_path: Path) -> None:
    """When the kernel's queue runs over the folder itself is told."""

    async def main() -> frozenset[Path]:
        async with await watch(tmp_path, settle=0) as changes:
            assert isinstance(changes._watcher, _watchers.KernelWatcher)
            overflow = b"\xff\xff\xff\xff" + b"\0\x40\0\0" + bytes(8)
            (event,) = parse(overflow)
            assert event.is_lost
            changes._watcher._judge(event)
            return await changes.changed()

    assert run(main) == {tmp_path}


def test_bad_arguments_are_refused(run: Run, tmp_path: Path) -> None:
    """At the call."""

    async def main() -> None:
        with pytest.raises(
            ValueError, match="settle must be 0 seconds or more, not -1"
        ):
            await watch(tmp_path, settle=-1)
        with pytest.raises(ValueError, match="poll must be more than 0"):
            await watch(tmp_path, poll=0)

    run(main)


def test_places_are_found_through_links(tmp_path: Path) -> None:
    """Each link is one, and a loop of links ends."""
    root = tmp_path.resolve()
    (root / "a").symlink_to("b")
    (root / "b").mkdir()
    (root / "loop").symlink_to("loop")

    assert places(root / "a" / ".." / "f", is_folder=False) == [
        Place(root, "a"),
        Place(root, "f"),
    ]
    assert places(root / "a", is_folder=True) == [
        Place(root, "a"),
        Place(root / "b", None),
    ]
    assert len(places(root / "loop", is_folder=False)) > 40
