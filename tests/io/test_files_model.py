"""A file does what Python's own does, whoever is cancelled in between."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumida.errors import IncompleteReadError
from sumida.io import File
from sumida.io import open as open_file

Call = tuple[str, int, int]

WORDS = b"\nabc\ndefghijk"

CALLS = st.tuples(
    st.sampled_from(["read", "exact", "end", "line", "write", "seek", "back", "cut"]),
    st.integers(0, 12),
    # For how many turns it may run: the most never end in fewer than three.
    st.sampled_from([0, 1, 2, 3, 4, 6, 1000]),
)


def begin(file: File, call: str, count: int) -> Awaitable[object]:
    """Begin one call on our file."""
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "read": lambda: file.read(count + 1),
        "exact": lambda: file.read_exact(count),
        "end": file.read_to_end,
        "line": file.lines().__anext__,
        "write": lambda: file.write_all(WORDS[:count]),
        "seek": lambda: file.seek(count),
        "back": lambda: file.seek(-count, 1),
        "cut": lambda: file.truncate(count),
    }
    return calls[call]()


def do(model: BytesIO, call: str, count: int) -> object:
    """Make the same call on the model; what it returns is what ours returns."""
    calls: dict[str, Callable[[], object]] = {
        "read": lambda: model.read(count + 1),
        "exact": lambda: model.read(count),
        "end": model.read,
        "line": lambda: line_of(model),
        "write": lambda: put(model, WORDS[:count]),
        "seek": lambda: model.seek(count),
        "back": lambda: model.seek(model.tell() - count),
        "cut": lambda: cut(model, count),
    }
    try:
        return calls[call]()
    except ValueError:
        return "refused"


def put(model: BytesIO, data: bytes) -> None:
    """Write all of it."""
    model.write(data)


def line_of(model: BytesIO) -> str | None:
    """Read a line as ours are; None at the end."""
    line = model.readline()
    return line.removesuffix(b"\n").decode() if line else None


def cut(model: BytesIO, size: int) -> int:
    """Cut off, or make longer, which a BytesIO does not do by itself."""
    place = model.tell()
    missing = size - len(model.getvalue())
    model.truncate(size)
    if missing > 0:
        model.seek(0, 2)
        model.write(bytes(missing))
    model.seek(place)
    return size


def copy_of(model: BytesIO) -> BytesIO:
    """Copy content and position."""
    copied = BytesIO(model.getvalue())
    copied.seek(model.tell())
    return copied


async def outcome(task: "asyncio.Future[object]") -> object:
    """Give what a call returned, in the terms of the model."""
    try:
        return await task
    except StopAsyncIteration:
        return None
    except IncompleteReadError as error:
        return error.partial
    except OSError:
        return "refused"


async def play(path: Path, content: bytes, calls: list[Call]) -> None:
    """Make the calls on both, and compare what can be seen after each."""
    model = BytesIO(content)
    async with await open_file(path, "r+") as file:
        for call, count, patience in calls:
            task = asyncio.ensure_future(begin(file, call, count))
            for _ in range(patience):
                if task.done():
                    break
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            done = copy_of(model)
            wanted = do(done, call, count)
            place = await file.tell()
            content = look(path)
            if not task.cancelled():
                got = await outcome(task)
                if call == "read" and got and isinstance(wanted, bytes):
                    # Fewer, perhaps: what a cancelled call had read.
                    assert isinstance(got, bytes)
                    done.seek(model.tell() + len(got))
                    wanted = wanted[: len(got)]
                assert got == wanted
                model = done
            elif (place, content) != (model.tell(), model.getvalue()):
                # It was done all the same, as a whole.
                assert call in {"write", "seek", "back", "cut"}
                model = done
            assert (place, content) == (model.tell(), model.getvalue())


def look(path: Path) -> bytes:
    """Read the file as somebody else does."""
    return path.read_bytes()


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab\n", max_size=20), st.lists(CALLS, max_size=30))
def test_it_is_as_a_file_of_python(text: str, calls: list[Call]) -> None:
    """Reads, writes, seeks and cuts, each of which may be cancelled."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_text(text)
        asyncio.run(play(path, text.encode(), calls))
