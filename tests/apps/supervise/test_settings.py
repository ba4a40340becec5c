"""The values that describe a process."""

from pathlib import Path

from sumida.apps.supervise.settings import ProcessFile, Settings


def test_equal_files_are_equal_values() -> None:
    """So that a reload finds what has changed by comparing."""
    one = ProcessFile((Settings("web", ("true",), Path("/")),))
    same = ProcessFile((Settings("web", ("true",), Path("/")),))
    other = ProcessFile((Settings("web", ("true",), Path("/"), stop_grace=1),))

    assert one == same
    assert hash(one) == hash(same)
    assert one != other
