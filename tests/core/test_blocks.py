"""The block of what is closed at its end."""

import pytest

from sumida._core.blocks import ClosingBlock
from tests.support import Run


class Door(ClosingBlock):
    """Counts how often it is closed."""

    __slots__ = ("closed",)

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        """Count."""
        self.closed += 1


@pytest.mark.parametrize("error", [None, KeyError("mine")])
def test_it_is_closed_at_the_end_of_either_block(
    run: Run, error: KeyError | None
) -> None:
    """However it is left; an error goes on."""

    async def main() -> list[int]:
        door = Door()
        counts = []
        try:
            with door as same:
                assert same is door
                if error is not None:
                    raise error
        except KeyError as caught:
            assert caught is error  # noqa: PT017  # of two ways one
        counts.append(door.closed)
        try:
            async with door as same:
                assert same is door
                if error is not None:
                    raise error
        except KeyError as caught:
            assert caught is error  # noqa: PT017  # as above
        return [*counts, door.closed]

    assert run(main) == [1, 2]


def test_what_cannot_be_closed_is_no_block() -> None:
    """A subclass says how."""
    with pytest.raises(NotImplementedError):
        ClosingBlock().close()  # type: ignore[abstract]  # the mistake
