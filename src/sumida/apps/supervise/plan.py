"""In which order processes start and stop, and what a changed file changes: pure.

A graph is a mapping from each name to the names that it depends on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from sumida.apps.supervise.settings import ProcessFile, Settings

__all__ = ("Change", "check", "compare", "start_order")


@final
@dataclass(frozen=True, slots=True)
class Change:
    """What has to be done to go from one file to another.

    Attributes:
        stop: The names of what is gone or changed, in the order of stopping.
        start: What is new or changed, in the order of starting.
        added: The names that are new.
        changed: The names that mean something else now.
        removed: The names that are gone.
    """

    stop: tuple[str, ...]
    start: tuple[Settings, ...]
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    def __bool__(self) -> bool:
        """Tell whether there is anything to do."""
        return bool(self.stop or self.start)


def check(graph: Mapping[str, Sequence[str]]) -> None:
    """Refuse what can never be started.

    Args:
        graph: All processes.

    Raises:
        ValueError: One depends on what is not there, on itself, or in a circle.
    """
    for name, dependencies in graph.items():
        for dependency in dependencies:
            if dependency not in graph:
                raise ValueError(
                    f"{name!r} depends on {dependency!r}, which is not there; there "
                    f"are {', '.join(graph)}"
                )
    start_order(graph)


def start_order(graph: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Put what others depend on before them; else keep the order of the graph.

    Args:
        graph: All processes; dependencies that are not in it are passed over.

    Returns:
        Every name. Backwards it is the order of stopping.

    Raises:
        ValueError: There is a circle; its names are told.
    """
    order: dict[str, None] = {}
    for root in graph:
        # By hand, not by recursion: a chain may be long. On the path are the names
        # whose dependencies are being placed.
        path: dict[str, Iterable[str]] = {}
        stack = [root]
        while stack:
            name = stack[-1]
            if name in order:
                stack.pop()
            elif name in path:
                order[name] = None
                del path[name]
                stack.pop()
            else:
                path[name] = graph[name]
                for dependency in reversed([d for d in graph[name] if d in graph]):
                    if dependency in path:
                        names = list(path)
                        circle = [*names[names.index(dependency) :], dependency]
                        raise ValueError(
                            f"{' -> '.join(circle)} depend on each other in a circle; "
                            "take one of these dependencies out"
                        )
                    stack.append(dependency)
    return tuple(order)


def compare(old: ProcessFile, new: ProcessFile) -> Change:
    """Find what differs. Only that is touched: what depends on it runs on.

    Args:
        old: What runs.
        new: What is to run.

    Returns:
        What to stop and what to start.
    """
    before = {process.name: process for process in old.processes}
    after = {process.name: process for process in new.processes}
    added = tuple(name for name in after if name not in before)
    removed = tuple(name for name in before if name not in after)
    changed = tuple(
        name for name in after if name in before and before[name] != after[name]
    )
    touched = {*removed, *changed}
    stop = [name for name in reversed(_order(old)) if name in touched]
    touched = {*added, *changed}
    start = [after[name] for name in _order(new) if name in touched]
    return Change(tuple(stop), tuple(start), added, changed, removed)


def _order(file: ProcessFile) -> tuple[str, ...]:
    return start_order({process.name: process.depends_on for process in file.processes})
