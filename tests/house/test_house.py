"""The house rules hold for the whole repository.

Each message names the file and the line, and the way out. The checkers are proven on
small wrong examples in `test_checkers.py`.
"""

from collections.abc import Iterable
from pathlib import Path

import pytest

import sumida
from check import EXCEPTIONS, LAYERS
from sumida import errors
from tests.house.checkers import (
    docstrings,
    exports,
    faults,
    layers,
    pages,
    sizes,
    slots,
    texts,
    typing_rules,
)
from tests.house.checkers.findings import Finding, Module, modules, report

ROOT = Path(__file__).resolve().parents[2]
SOURCE = modules(ROOT / "src")
ROOMS = ("runtime", "channels", "sync", "net", "io", "process", "testing")
EVERYTHING = (
    *SOURCE,
    *(
        module
        for folder in ("tests", "bench", "examples")
        for module in modules(ROOT / folder)
    ),
    Module(ROOT / "check.py", ROOT),
)


def nothing_found(findings: Iterable[Finding]) -> None:
    """Fail with one line for each finding."""
    text = report(findings, ROOT)
    if text:
        pytest.fail(f"the house rules are broken:\n{text}", pytrace=False)


def nothing_told(messages: Iterable[str]) -> None:
    """Fail with one line for each message."""
    text = "\n".join(messages)
    if text:
        pytest.fail(f"the house rules are broken:\n{text}", pytrace=False)


def test_files_and_functions_are_short() -> None:
    """A file has at most 500 lines, a function 60."""
    nothing_found(sizes.check_sizes(EVERYTHING))


def test_modules_list_what_is_public() -> None:
    """`__all__` is the sorted tuple of the public names."""
    nothing_found(exports.check_exports(SOURCE))


def test_modules_do_not_hide_the_standard_library() -> None:
    """No module has the name of one of the standard library's."""
    nothing_found(exports.check_names(SOURCE))


def test_public_names_are_documented() -> None:
    """The page of a room mentions each of its public names."""
    nothing_found(exports.check_documented(SOURCE, ROOMS, ROOT / "docs"))


def test_each_room_has_its_page() -> None:
    """Which type when, a program, what a cancel does, and the pitfalls."""
    nothing_found(pages.check_pages(ROOMS, ROOT / "docs"))


def test_what_a_cancel_loses_is_on_the_page() -> None:
    """The table of a room names each call that is not safe to cancel."""
    nothing_found(pages.check_cancels(SOURCE, ROOMS, ROOT / "docs"))


def test_imports_point_downwards() -> None:
    """The layers of check.py hold."""
    nothing_found(layers.check_layers(SOURCE, LAYERS, EXCEPTIONS, outsiders=("apps",)))


def test_docstrings_are_complete() -> None:
    """Sections are in order, errors are named, a wait says what a cancel does."""
    operations = docstrings.operation_classes(SOURCE)

    # A channel's receiver and a guard are handles, and operations at the same time.
    at_once = ("Sender.subscribe", "Receiver.resubscribe", "RwLockWriteGuard.downgrade")

    nothing_found(docstrings.check_docstrings(SOURCE, operations, at_once))


def test_the_tree_of_errors_is_as_drawn() -> None:
    """The drawing in the docstring of errors.py is the truth."""
    nothing_told(faults.check_tree(errors, sumida.SumidaError))


def test_errors_live_in_one_module() -> None:
    """All errors are in errors.py."""
    classes = slots.all_classes(slots.all_modules(sumida))
    ours = [cls for cls in classes if issubclass(cls, sumida.SumidaError)]

    nothing_told(faults.check_home(ours, errors))


def test_errors_survive_pickle_and_copy() -> None:
    """An error that went through a process pool tells the same."""
    classes = [getattr(errors, name) for name in errors.__all__]

    nothing_told(faults.check_survival(classes))


def test_slots_are_in_every_class_of_a_line() -> None:
    """Where a class declares slots its instances have no `__dict__`."""
    nothing_told(slots.check_slots(slots.all_classes(slots.all_modules(sumida))))


def test_public_signatures_have_no_any() -> None:
    """A signature says what it takes."""
    nothing_found(typing_rules.check_any(SOURCE))


def test_exceptions_of_the_type_checker_have_reasons() -> None:
    """Each `type: ignore` names its code and its reason."""
    nothing_found(typing_rules.check_ignores(EVERYTHING))


def test_each_module_has_its_tests() -> None:
    """The tests mirror the source, file for file."""
    nothing_found(texts.check_tests_exist(SOURCE, ROOT / "tests"))


def test_no_text_speaks_of_the_workplace() -> None:
    """The repository speaks of itself only."""
    nothing_found(texts.check_words(texts.repository_files(ROOT)))


def test_fragments_of_the_changelog_are_named_right() -> None:
    """Each file in changes/ has a slug, a kind and a sentence."""
    nothing_found(texts.check_changes(ROOT / "changes"))


def test_the_readme_has_two_shell_commands() -> None:
    """.ci/run takes the main job and the test command from the README."""
    nothing_found(texts.check_shell_blocks(ROOT / "README.md", 2))
