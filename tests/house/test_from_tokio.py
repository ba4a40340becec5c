"""The tables for those who come from Tokio are made of the docstrings, and fresh."""

from types import ModuleType

import pytest

import sumida
from tests.house.checkers.slots import all_modules
from tests.house.from_tokio import PAGE, Entry, entries, fresh, references, tables


class _Reads:
    """A mixin that nobody sees."""

    def readable(self) -> None:
        """Wait for data. It is told at once.

        Source:
            `tokio::net::TcpStream::readable`
        """


class Pipe(_Reads):
    """Inherits what it does not name first."""


class TcpStream(_Reads):
    """A | connection. And more.

    Source:
        `tokio::net::TcpStream`, `UnixStream`
    """


def wait() -> None:
    """Wait.

    Source:
        `waitpid(2)`
    """


def holding(name: str, *names: str) -> ModuleType:
    """Make a module that exports things of this file."""
    made = ModuleType(name)
    made.__dict__.update({each: globals()[each] for each in names}, __all__=names)
    return made


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("`a::b::One`", ["a::b::One"]),
        ("`a::b::One`, `Two` and `c::Three`", ["a::b::One", "a::b::Two", "c::Three"]),
        ("`a::b::One`, without\n    orderings: all is `SeqCst`", ["a::b::One"]),
        ("`#[a::main]`", ["#[a::main]"]),
        ("`prctl(2)`, `PR_SET`", []),
        ("https://example.org/a::b", []),
    ],
)
def test_names_are_read_from_a_source(source: str, found: list[str]) -> None:
    """Only those of Rust's libraries; the rest of a list may be short."""
    docstring = f"Do it.\n\nReturns:\n    `x::y`\n\nSource:\n    {source}\n"

    assert references(docstring) == found


def test_each_thing_stands_once_by_its_shortest_name() -> None:
    """What is private is passed over; a method is in the class called as Tokio's."""
    modules = [
        holding("top.deep.inner", "TcpStream", "wait"),
        holding("top.deep", "TcpStream", "Pipe"),
        holding("top._hidden", "TcpStream"),
    ]

    does = "A \\| connection."
    assert entries(modules) == [
        Entry("tokio::net::TcpStream", "top.deep.TcpStream", does),
        Entry(
            "tokio::net::TcpStream::readable",
            "top.deep.TcpStream.readable",
            "Wait for data.",
        ),
        Entry("tokio::net::UnixStream", "top.deep.TcpStream", does),
    ]


def test_tables_replace_those_of_the_page() -> None:
    """What is written by hand around them stays; a name without an area is refused."""
    text = tables([Entry("tokio::fs::read", "top.read", "Read.")])
    page = fresh(fresh("before\n", "old"), "older")

    assert "### Files\n" in text
    assert "| `tokio::fs::read` | `top.read` | Read. |\n" in text
    assert fresh(f"{page}after\n", text).count("<!--") == 2
    assert fresh(f"{page}after\n", text).startswith("before\n<!--")
    assert fresh(f"{page}after\n", text).endswith("-->\nafter\n")
    with pytest.raises(ValueError, match="fits in no area"):
        tables([Entry("tokio::new::Thing", "top.Thing", "Do.")])


def test_the_page_is_fresh() -> None:
    """It says what the docstrings say now."""
    page = PAGE.read_text(encoding="utf-8")
    wanted = fresh(page, tables(entries(all_modules(sumida))))

    if page != wanted:
        pytest.fail(
            f"{PAGE.name} is behind the docstrings: run `python check.py fix`",
            pytrace=False,
        )
