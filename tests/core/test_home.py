"""On which loop a thread finds those who use an object."""

import asyncio
from collections.abc import Iterator

import pytest

from sumida._core.home import home_of


@pytest.fixture
def loops() -> Iterator[list[asyncio.AbstractEventLoop]]:
    """Make two, which do not run."""
    made = [asyncio.new_event_loop() for _ in range(2)]
    yield made
    for loop in made:
        loop.close()


def test_the_first_that_is_open_is_the_one(
    loops: list[asyncio.AbstractEventLoop],
) -> None:
    """Where tasks have waited, then where it was made."""
    old, new = loops

    assert home_of(None, old, new) is old
    old.close()
    assert home_of(old, None, new) is new
    new.close()
    assert home_of(None, old, new) is old


def test_none_may_be_known() -> None:
    """Of what was made outside of any loop, and not used yet."""
    assert home_of() is None
    assert home_of(None, None) is None
