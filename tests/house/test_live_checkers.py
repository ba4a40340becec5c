"""The checkers that look at living classes notice what is wrong with them."""

import types
from pathlib import Path

import pytest

from tests.house.checkers import faults, slots


class TreeError(Exception):
    """The root."""


class Leaf(TreeError):
    """A good one: fields to super().__init__, the sentence in __str__."""

    def __init__(self, what: str, size: int | None, *items: object) -> None:
        super().__init__(what, size, *items)
        self.what = what
        self.size = size
        self.items = items

    def __str__(self) -> str:
        return f"{self.what} of {self.size}"


class Late(TreeError, TimeoutError):
    """It has two bases."""


class TextOnly(TreeError):
    """A bad one: the text goes to super().__init__, so unpickling lacks arguments."""

    def __init__(self, what: str, size: int) -> None:
        super().__init__(f"{what} of {size}")


class Forgetful(TreeError):
    """A bad one: what it holds is changed on the way."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.number = id(self)

    def __reduce__(self) -> tuple[type[Exception], tuple[object, ...]]:
        return Forgetful, self.args


DRAWN = """Errors.

    TreeError
    ├── Late (also a TimeoutError)
    └── Leaf

They are good.
"""


def module(text: str, *classes: type) -> types.ModuleType:
    """Make a module with these classes and this docstring."""
    made = types.ModuleType("faulty", text)
    for cls in classes:
        setattr(made, cls.__name__, cls)
    return made


def test_a_tree_as_drawn_passes() -> None:
    """The drawing is read with its depth and its second bases."""
    made = module(DRAWN, TreeError, Late, Leaf)

    assert list(faults.check_tree(made, TreeError)) == []


def test_a_deep_tree_is_read() -> None:
    """Each name stands below the one that its line comes from."""
    text = "A\n├── B (also an X and Y)\n│   └── C\n└── D\n    ├── E\n    └── F\n"

    assert faults.drawn_tree(text) == {
        "A": (),
        "B": ("A", "X", "Y"),
        "C": ("B",),
        "D": ("A",),
        "E": ("D",),
        "F": ("D",),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DRAWN.replace("    └── Leaf\n", ""), "Leaf is not in the tree"),
        (DRAWN.replace("Leaf", "Twig"), "Twig is drawn"),
        (DRAWN.replace(" (also a TimeoutError)", ""), "Late is drawn below"),
        (DRAWN.replace("└── Leaf", "│   └── Leaf"), "Leaf is drawn below"),
        ("No tree.", "TreeError is not in the tree"),
    ],
)
def test_a_tree_drawn_wrongly_is_found(text: str, message: str) -> None:
    """A name is missing, too many, or in the wrong place."""
    found = list(faults.check_tree(module(text, TreeError, Late, Leaf), TreeError))

    assert [line for line in found if message in line], found


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (TextOnly, "does not survive pickle protocol 0"),
        (Forgetful, "is changed by copy"),
    ],
)
def test_an_error_that_does_not_survive_is_found(
    cls: type[Exception], message: str
) -> None:
    """It cannot be made again, or comes back as another."""
    found = list(faults.check_survival([cls]))

    assert [line for line in found if message in line], found


def test_an_error_without_a_sentence_is_found() -> None:
    """A blank text tells nobody anything."""

    class Silent(Leaf):
        def __str__(self) -> str:
            return " "

    found = list(faults.check_survival([Silent]))

    assert "Silent has no text; write the sentence in __str__" in found


def test_a_good_error_survives() -> None:
    """The same class, arguments, attributes and text."""
    assert list(faults.check_survival([Leaf, TreeError])) == []


def test_an_error_elsewhere_is_found() -> None:
    """All errors have one home."""
    made = types.ModuleType(__name__)
    other = types.ModuleType("elsewhere")

    assert list(faults.check_home([Leaf], made)) == []
    assert len(list(faults.check_home([Leaf], other))) == 1


class Slotted:
    """It has slots, and nothing above it has a dictionary."""

    __slots__ = ("a",)


class Loose(Slotted):
    """It has none, and so undoes them."""


class Grounded(Loose):
    """It has slots, and they are of no use."""

    __slots__ = ("b",)


class Plain:
    """Nobody in its line has slots."""


@pytest.mark.parametrize(
    ("cls", "count"),
    [(Slotted, 0), (Plain, 0), (Loose, 1), (Grounded, 1), (Leaf, 0)],
)
def test_slots_in_part_of_a_line_are_found(cls: type, count: int) -> None:
    """One class without slots gives every instance a dictionary."""
    assert len(list(slots.check_slots([cls]))) == count


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a package with a module, a class within a class, and a command."""
    folder = tmp_path / "sample_for_house"
    folder.mkdir()
    (folder / "__init__.py").write_text("", encoding="utf-8")
    (folder / "a.py").write_text(
        "from pathlib import Path\nclass Outer:\n    class Inner: ...\n",
        encoding="utf-8",
    )
    (folder / "__main__.py").write_text("raise SystemExit(1)", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder.name


def test_every_class_of_a_package_is_looked_at(package: str) -> None:
    """Those within classes too; not those imported, and no command is run."""
    found = slots.all_classes(slots.all_modules(__import__(package)))

    assert [cls.__qualname__ for cls in found] == ["Outer", "Outer.Inner"]
