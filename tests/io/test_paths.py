"""What is done with paths is what the system does."""

import stat
from pathlib import Path

import pytest

from sumida import io
from tests.support import Run


def test_files_are_looked_at_renamed_and_removed(run: Run, tmp_path: Path) -> None:
    """Each call by its name."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"12345")
    (tmp_path / "link").symlink_to("one")

    async def main() -> None:
        assert (await io.metadata(one)).st_size == 5
        link = await io.metadata(tmp_path / "link", follow_links=False)
        assert stat.S_ISLNK(link.st_mode)
        assert await io.exists(one)
        assert not await io.exists(two)
        assert not await io.exists(one / "below a file")
        two.write_bytes(b"replaced")
        await io.rename(one, two)
        assert two.read_bytes() == b"12345"
        assert not await io.exists(tmp_path / "link")
        await io.remove_file(tmp_path / "link")
        await io.remove_file(two)
        for call in (io.remove_file, io.remove_dir, io.remove_dir_all, io.metadata):
            with pytest.raises(FileNotFoundError):
                await call(two)

    run(main)

    assert list(tmp_path.iterdir()) == []


def test_a_copy_has_content_and_permissions(run: Run, tmp_path: Path) -> None:
    """And refuses to be made of itself."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x" * 100_000)
    source.chmod(0o600)

    async def main() -> int:
        with pytest.raises(OSError, match="same file"):
            await io.copy_file(source, source)
        with pytest.raises(FileNotFoundError):
            await io.copy_file(tmp_path / "no", target)
        return await io.copy_file(source, target)

    assert run(main) == 100_000
    assert target.read_bytes() == source.read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_folders_are_made_and_removed(run: Run, tmp_path: Path) -> None:
    """One at a time, or with all above and below."""
    inner = tmp_path / "a" / "b" / "c"

    async def main() -> None:
        with pytest.raises(FileNotFoundError):
            await io.create_dir(inner)
        await io.create_dir_all(inner)
        await io.create_dir_all(inner)
        with pytest.raises(FileExistsError):
            await io.create_dir(inner)
        await io.create_dir(inner / "private", 0o700)
        assert stat.S_IMODE((inner / "private").stat().st_mode) == 0o700
        with pytest.raises(OSError, match="not empty"):
            await io.remove_dir(inner)
        await io.remove_dir(inner / "private")
        (inner / "file").write_bytes(b"")
        with pytest.raises(FileExistsError):
            await io.create_dir_all(inner / "file")
        with pytest.raises(NotADirectoryError):
            await io.remove_dir_all(inner / "file")
        await io.remove_dir_all(tmp_path / "a")

    run(main)

    assert list(tmp_path.iterdir()) == []
