"""Where to look for a change of a path: its folder, and that of each link to it."""

from pathlib import Path
from typing import Final, NamedTuple, TypeAlias, final

__all__ = ("Listing", "Place", "Stamp", "places", "stamp", "take_listing")

_MAX_LINKS: Final = 40
"""Links followed before a path counts as a loop: Linux' own number."""

Stamp: TypeAlias = tuple[int, ...] | None
"""What tells one state of a file from another; None when it is not there."""

Listing: TypeAlias = dict[str, Stamp] | None
"""The entries of a folder and their stamps; None when it is not there."""


@final
class Place(NamedTuple):
    """An entry whose change is a change of the path.

    Attributes:
        folder: The folder to watch; it is no link.
        name: The entry in it; None for every one.
    """

    folder: Path
    name: str | None


def places(path: Path, *, is_folder: bool) -> list[Place]:
    """Find all entries by which `path` can come to mean something else.

    A link may be changed instead of what it leads to, in the last part of the path
    (a mounted configuration) as well as before (a "current" release), so each link on
    the way is such an entry.

    Args:
        path: An absolute path; nothing needs to be there.
        is_folder: Whether every entry below it counts.

    Returns:
        The places, the last of them without links.
    """
    found: list[Place] = []
    here = Path(path.anchor)
    rest = _parts(path)
    while rest:
        name = rest.pop()
        if name == "..":
            here = here.parent
            continue
        try:
            target = (here / name).readlink()
        except OSError:
            here /= name
            continue
        found.append(Place(here, name))
        if len(found) > _MAX_LINKS:
            break
        if target.is_absolute():
            here = Path(target.anchor)
        rest += _parts(target)
    if is_folder:
        return [*found, Place(here, None)]
    return [*found, Place(here.parent, here.name)]


def _parts(path: Path) -> list[str]:
    """The parts of a path below its root, the last first."""
    return [part for part in reversed(path.parts) if part != path.anchor]


def stamp(path: Path) -> Stamp:
    """Look at a file.

    Args:
        path: Its path; links are followed.

    Returns:
        Its stamp.
    """
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_mode


def take_listing(path: Path) -> Listing:
    """Look at all entries of a folder.

    Args:
        path: Its path.

    Returns:
        The listing.
    """
    try:
        return {entry.name: stamp(entry) for entry in path.iterdir()}
    except OSError:
        return None
