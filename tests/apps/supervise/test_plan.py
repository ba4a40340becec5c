"""The order of starting and stopping, and what a new file changes."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumida.apps.supervise.plan import check, compare, start_order
from sumida.apps.supervise.settings import ProcessFile, Settings


def file_of(**graph: str) -> ProcessFile:
    """Make a file of processes with these dependencies, named by single letters."""
    return ProcessFile(
        tuple(
            Settings(name, ("true",), Path("/"), depends_on=tuple(dependencies))
            for name, dependencies in graph.items()
        )
    )


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Make a graph without circles, written in any order."""
    size = draw(st.integers(0, 12))
    names = [f"p{number}" for number in range(size)]
    graph = {
        name: draw(st.lists(st.sampled_from(names[:number]), unique=True))
        if number
        else []
        for number, name in enumerate(names)
    }
    return {name: graph[name] for name in draw(st.permutations(names))}


def test_dependencies_come_first_and_the_rest_as_written() -> None:
    """Who needs nothing keeps its place."""
    order = start_order({"web": ["db", "cache"], "x": [], "cache": ["db"], "db": []})

    assert order == ("db", "cache", "web", "x")


@given(graphs())
def test_every_order_is_complete_and_right(graph: dict[str, list[str]]) -> None:
    """Each name once, and behind all that it depends on."""
    check(graph)
    order = start_order(graph)

    assert sorted(order) == sorted(graph)
    for name, dependencies in graph.items():
        for dependency in dependencies:
            assert order.index(dependency) < order.index(name)


@given(graphs(), st.data())
def test_every_circle_is_refused(
    graph: dict[str, list[str]], data: st.DataObject
) -> None:
    """One edge backwards along a chain is enough."""
    order = start_order(graph)
    if not order:
        return
    chain = [data.draw(st.sampled_from(order))]
    while graph[chain[-1]]:
        chain.append(data.draw(st.sampled_from(graph[chain[-1]])))
    graph[chain[-1]] = [*graph[chain[-1]], chain[0]]

    with pytest.raises(ValueError, match="in a circle"):
        check(graph)


def test_a_circle_is_told_by_name() -> None:
    """The way round, beginning and ending with the same name."""
    with pytest.raises(ValueError, match=r"^b -> c -> d -> b depend on each other"):
        check({"a": ["b"], "b": ["c"], "c": ["d"], "d": ["b"]})
    with pytest.raises(ValueError, match=r"^a -> a depend on each other"):
        check({"a": ["a"]})


def test_an_unknown_dependency_is_told_by_name() -> None:
    """With the names that there are."""
    with pytest.raises(
        ValueError, match=r"^'web' depends on 'bd', which is not there; there are web"
    ):
        check({"web": ["bd"], "db": []})


def test_a_long_chain_is_no_recursion() -> None:
    """Five thousand deep."""
    graph = {f"p{n}": [f"p{n + 1}"] for n in range(5000)} | {"p5000": []}

    assert start_order(graph)[0] == "p5000"


def test_the_same_file_changes_nothing() -> None:
    """Nor does another order of its processes."""
    change = compare(file_of(a="", b="a"), file_of(b="a", a=""))

    assert not change
    assert change.stop == ()
    assert change.start == ()


def test_only_what_differs_is_touched_and_in_order() -> None:
    """Stopped: dependents first; started: dependencies first."""
    old = file_of(a="", b="a", c="b", gone="c")
    new = file_of(new="c", a="", b="a", c="b")
    changed = tuple(
        replace(process, stop_grace=1) if process.name in "bc" else process
        for process in new.processes
    )

    change = compare(old, replace(new, processes=changed))

    assert change
    assert change.stop == ("gone", "c", "b")
    assert [process.name for process in change.start] == ["b", "c", "new"]
    assert change.start[0].stop_grace == 1
    assert (change.added, change.changed, change.removed) == (
        ("new",),
        ("b", "c"),
        ("gone",),
    )


@given(graphs(), graphs())
def test_a_change_leads_from_one_file_to_the_other(
    old: dict[str, list[str]], new: dict[str, list[str]]
) -> None:
    """What is stopped was there, what is started is there then."""

    def as_file(graph: dict[str, list[str]]) -> ProcessFile:
        return ProcessFile(
            tuple(
                Settings(name, (), Path("/"), depends_on=tuple(needs))
                for name, needs in graph.items()
            )
        )

    change = compare(as_file(old), as_file(new))
    running = set(old) - set(change.stop)
    started = [process.name for process in change.start]

    assert not running & set(started)
    assert running | set(started) == set(new)
    assert all(old[name] == new[name] for name in running)
