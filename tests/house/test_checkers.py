"""Each checker notices the small wrong thing, and lets the right one pass.

A checker that cannot fail is a defect: every rule of `test_house.py` is broken here.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from tests.house.checkers import (
    docstrings,
    exports,
    layers,
    pages,
    sizes,
    texts,
    typing_rules,
)
from tests.house.checkers.findings import Finding, Module, modules, report


def lay(folder: Path, files: Mapping[str, str]) -> list[Module]:
    """Write modules of a package `top`."""
    for name, text in files.items():
        path = folder / "top" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return modules(folder)


def write(folder: Path, **files: str) -> list[Module]:
    """Write modules of a package `top`: `a__b` is `a/b.py`."""
    return lay(
        folder, {name.replace("__", "/", 1): text for name, text in files.items()}
    )


def told(findings: Iterable[Finding]) -> list[str]:
    """Give the messages."""
    return [f"{finding.line}: {finding.message}" for finding in findings]


def test_a_report_names_file_and_line(tmp_path: Path) -> None:
    """A finding can be clicked on, and what is clean says nothing."""
    finding = Finding(tmp_path / "a.py", 3, "is wrong")

    assert report([finding], tmp_path) == "a.py:3: is wrong"
    assert str(finding) == f"{tmp_path / 'a.py'}:3: is wrong"
    assert report([], tmp_path) == ""


# Sizes.


@pytest.mark.parametrize(("lines", "count"), [(500, 0), (501, 1)])
def test_a_long_file_is_found(tmp_path: Path, lines: int, count: int) -> None:
    """500 lines pass, 501 do not."""
    found = told(sizes.check_sizes(write(tmp_path, a="x = 1\n" * lines)))

    assert len(found) == count


@pytest.mark.parametrize(("lines", "count"), [(59, 0), (60, 1)])
def test_a_long_function_is_found(tmp_path: Path, lines: int, count: int) -> None:
    """60 lines with the first pass, 61 do not; a docstring does not count."""
    text = 'async def f():\n    """One.\n\n    Two.\n    """\n' + "    x = 1\n" * lines
    found = told(sizes.check_sizes(write(tmp_path, a=text)))

    assert len(found) == count


# Exports.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(): ...", "no tuple `__all__`"),
        ("__all__ = ['f']\ndef f(): ...", "no tuple `__all__`"),
        ("__all__ = ('f', 'C')\ndef f(): ...\nclass C: ...", "not sorted"),
        ("__all__ = ('f', 'f')\ndef f(): ...", "twofold"),
        ("__all__ = ('f', 'g')\ndef f(): ...", "'g', which is not there"),
        ("__all__ = ()\nclass C: ...", "'C' is public"),
        ("__all__ = ()\nLIMIT: int = 3", "'LIMIT' is public"),
        ("__all__ = ()\nif True:\n    def f(): ...", "'f' is public"),
    ],
)
def test_a_wrong_list_of_exports_is_found(
    tmp_path: Path, text: str, message: str
) -> None:
    """`__all__` is absent, a list, out of order, or not what is there."""
    (found,) = told(exports.check_exports(write(tmp_path, a=text)))

    assert message in found


def test_a_right_list_of_exports_passes(tmp_path: Path) -> None:
    """Constants, classes, functions; no type variables, nothing private."""
    text = (
        "__all__ = ('LIMIT', 'C', 'f')\nT = TypeVar('T')\nLIMIT = 3\n_x = 1\n"
        "class C: ...\ndef f(): ...\ndef _g(): ..."
    )

    assert told(exports.check_exports(write(tmp_path, a=text, _b="def f(): ..."))) == []


def test_a_name_of_the_standard_library_is_found(tmp_path: Path) -> None:
    """`queue` is taken; `io` is the one that is kept."""
    found = told(exports.check_names(write(tmp_path, queue="", io="", mailbox_of="")))

    assert len(found) == 1
    assert "'queue'" in found[0]


def test_an_undocumented_export_is_found(tmp_path: Path) -> None:
    """The page of the room has to mention each name, as a word of its own."""
    source = write(tmp_path, room__a="__all__ = ('Sender', 'send')\n")
    docs = tmp_path / "docs"
    (docs / "rooms").mkdir(parents=True)
    (docs / "rooms" / "room.md").write_text("`Sender` sends.", encoding="utf-8")

    assert told(exports.check_documented(source, ["room"], docs)) == [
        "1: docs/rooms/room.md does not mention send"
    ]
    assert told(exports.check_documented(source, ["other"], docs)) == []


# Pages.


def lay_page(docs: Path, text: str) -> None:
    """Write the page of a room called `room`."""
    (docs / "rooms").mkdir(parents=True, exist_ok=True)
    (docs / "rooms" / "room.md").write_text(text, encoding="utf-8")


def test_a_page_without_a_section_is_found(tmp_path: Path) -> None:
    """All three in their order, and a program, wherever it stands."""
    program = "```python\npass\n```\n"
    whole = "\n".join(f"## {heading}\n" for heading in pages.HEADINGS)
    lay_page(tmp_path, f"# Room\n{whole}{program}")
    assert told(pages.check_pages(["room"], tmp_path)) == []

    lay_page(tmp_path, "# Room\n## Pitfalls\n## Which when\n")
    assert [found[:20] for found in told(pages.check_pages(["room"], tmp_path))] == [
        "1: has the sections ",
        "1: shows no program",
    ]
    assert len(told(pages.check_pages(["missing"], tmp_path))) == 2


def test_a_loss_that_the_page_does_not_tell_is_found(tmp_path: Path) -> None:
    """Only what is not safe, and only the table counts."""
    doc = '"""Do it.\n\n    Cancel safety:\n        {}: so.\n    """'
    text = "".join(
        f"async def {name}() -> None:\n    {doc.format(safety)}\n\n\n"
        for name, safety in [("lose", "Not safe"), ("keep", "Safe")]
    )
    source = write(tmp_path, room__a=text, room___b=text, other__c=text)

    lay_page(tmp_path / "docs", "## Which when\n`lose`\n## What a cancel does\nno\n")
    (message,) = told(pages.check_cancels(source, ["room"], tmp_path / "docs"))
    assert message.startswith("1: lose is not safe to cancel: tell what is lost in ")
    lay_page(tmp_path / "docs", "## What a cancel does\n`lose`: all\n")
    assert told(pages.check_cancels(source, ["room"], tmp_path / "docs")) == []


# Layers.

LAYERS = (("low",), ("left", "right"), ("user",))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"low/a": "import top.left.b", "left/b": ""}, "low imports left"),
        ({"left/a": "from top.right import b", "right/b": ""}, "left imports right"),
        ({"low/a": "def f():\n    from top.left.b import g"}, "low imports left"),
        ({"other/a": ""}, "'other' is in no layer"),
        ({"left/a": "from top import f"}, "imports from top"),
        (
            {"left/a": "from top.low import f", "low/__init__": ""},
            "from the package top.low",
        ),
        ({"user/a": "from top.low._b import f"}, "which no user may"),
    ],
)
def test_an_import_that_points_up_is_found(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    """Up, sideways, from nowhere, through a package, or behind the curtain."""
    source = lay(tmp_path, files)
    found = told(layers.check_layers(source, LAYERS, outsiders=("user",)))

    assert len(found) == 1
    assert message in found[0]


def test_an_import_that_points_down_passes(tmp_path: Path) -> None:
    """Down, within, by exception, and a user from wherever users import."""
    source = write(
        tmp_path,
        low__a="from top.left.b import f",
        left__b="from top.low.a import g\nfrom top.left.c import h\nimport asyncio",
        user__a="from top import f\nfrom top.low import g",
    )

    assert (
        told(layers.check_layers(source, LAYERS, {("low.a", "left.b")}, ("user",)))
        == []
    )


# Docstrings.

SAFE = "\n\n    Cancel safety:\n        Safe: nothing was taken.\n"


def function(head: str, sections: str, body: str = "...") -> str:
    """Write a module with one function."""
    return f'"""M."""\n{head}:\n    """Do.{sections}    """\n    {body}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "no docstring"),
        ('"""M."""\nclass C: ...', "C has no docstring"),
        (
            '"""M."""\nclass C:\n    """C."""\n    def f(self): ...',
            "C.f has no docstring",
        ),
        (function("async def f()", ""), "no section `Cancel safety:`"),
        (function("def f() -> Wait[int]", ""), "no section `Cancel safety:`"),
        (function("def f() -> 'Awaitable[int]'", ""), "no section `Cancel safety:`"),
        (
            function("async def f()", "\n\n    Cancel safety:\n        Perhaps.\n"),
            "neither with Safe",
        ),
        (
            function("async def f()", "\n\n    Cancellation safety:\n        Safe.\n"),
            "is called `Cancel safety:`",
        ),
        (
            function(
                "def f()", "\n\n    Returns:\n        X.\n\n    Args:\n        a: B.\n"
            ),
            "the order is",
        ),
        (
            function(
                "def f()", "\n\n    Args:\n        a: B.\n\n    Args:\n        b: C.\n"
            ),
            "each once",
        ),
        (function("def f()", "\n", "raise ValueError(1)"), "raises ValueError"),
        (
            function(
                "def f()",
                "\n\n    Raises:\n        TypeError: ValueError.\n",
                "\n    with x:\n        raise errors.ValueError from None",
            ),
            "raises ValueError",
        ),
        (
            '"""M."""\nclass C:\n    """C."""\n    def __init__(self): raise Closed',
            "C.__init__ raises Closed",
        ),
    ],
)
def test_a_poor_docstring_is_found(tmp_path: Path, text: str, message: str) -> None:
    """It is absent, out of order, or silent on an error or on a cancel."""
    source = write(
        tmp_path, a="from top.b import Wait\n" + text if "Wait[" in text else text
    )
    found = told(docstrings.check_docstrings(source, {("top.b", "Wait")}))

    assert [line for line in found if message in line], found


@pytest.mark.parametrize(
    "text",
    [
        function("async def f()", SAFE),
        function("async def _f()", ""),
        function("def f() -> Other[int]", ""),
        function("def try_f() -> Awaitable[int]", ""),
        function(
            "def f()",
            "\n\n    Raises:\n        ValueError, KeyError: Bad.\n",
            "\n    if x:\n        raise ValueError(1)\n    raise KeyError",
        ),
        function(
            "def f()", "\n", "\n    def g():\n        raise ValueError\n    raise error"
        ),
        function("def f()", "\n", "raise NotImplementedError"),
    ],
)
def test_a_complete_docstring_passes(tmp_path: Path, text: str) -> None:
    """What is told, private, made at once, or raised within is no finding."""
    assert told(docstrings.check_docstrings(write(tmp_path, a=text))) == []


def test_operations_are_found_through_their_bases(tmp_path: Path) -> None:
    """A class is an operation if a base is; another class of the same name is not."""
    source = write(
        tmp_path,
        operation="class Operation: ...",
        a="from top.operation import Operation as Op\nclass Guard(Op[int]): ...",
        b="from top.a import Guard\nclass Special(Guard): ...",
        c="class Guard: ...",
    )

    assert docstrings.operation_classes(source) == {
        ("top.operation", "Operation"),
        ("top.a", "Guard"),
        ("top.b", "Special"),
    }


# Types.


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("def f(x: Any): ...", 1),
        ("def f(*, x: 'list[Any]'): ...", 1),
        ("def f() -> typing.Any: ...", 1),
        ("class C:\n    def f(self, *x: dict[str, Any]): ...", 1),
        ("def f(x: object) -> int: ...", 0),
        ("def _f(x: Any): ...", 0),
        ("@overload\ndef f(x: Any): ...", 0),
    ],
)
def test_any_in_a_public_signature_is_found(
    tmp_path: Path, text: str, count: int
) -> None:
    """Anywhere in an annotation, also in a string."""
    assert len(told(typing_rules.check_any(write(tmp_path, a=text)))) == count


@pytest.mark.parametrize(
    ("comment", "count"),
    [
        ("ignore", 1),
        ("ignore[arg-type]", 1),
        ("ignore[arg-type]  #", 1),
        ("ignore[arg-type]  # the stub is wrong", 0),
        ("ignore[arg-type, misc]  # the stub is wrong", 0),
    ],
)
def test_an_ignore_without_a_reason_is_found(
    tmp_path: Path, comment: str, count: int
) -> None:
    """It names its code and its reason."""
    source = write(tmp_path, a=f"x = 1  # type: {comment}\ny = '# type: ignore'\n")

    assert len(told(typing_rules.check_ignores(source))) == count


# Texts.


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("see /ro~ot/x", 1),
        ("in /wo~rk/main", 1),
        ("a HEL~PER wrote it", 1),
        ("made by an A~I-generated tool", 1),
        ("src/roots and network/works", 0),
        ("$PREFIX/work/x is anybody's", 0),
    ],
)
def test_talk_of_the_workplace_is_found(tmp_path: Path, text: str, count: int) -> None:
    """Paths of a machine, and who was there.

    The tildes keep this file itself clean.
    """
    text = text.replace("~", "")
    (tmp_path / "a.md").write_text(text, encoding="utf-8")
    (tmp_path / "b.bin").write_bytes(b"\xff\xfe\x00")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "c.md").write_text(text, encoding="utf-8")

    assert len(told(texts.check_words(texts.repository_files(tmp_path)))) == count


def test_a_misnamed_fragment_is_found(tmp_path: Path) -> None:
    """A slug, a known kind, and a sentence within."""
    files = {
        "README.md": "",
        "good-one.added.md": "Text.",
        "Bad.added.md": "Text.",
        "bad.improved.md": "Text.",
        "bad.md": "Text.",
        "empty.fixed.md": "\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = {finding.path.name for finding in texts.check_changes(tmp_path)}

    assert found == {"Bad.added.md", "bad.improved.md", "bad.md", "empty.fixed.md"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is not there"),
        ("```sh\na\n```\n", "has 1 ```sh blocks"),
        ("```sh\na\n```\n```sh\nb\n```\n```sh\nc\n```\n", "has 3 ```sh blocks"),
        ("```sh\na\n```\n```sh\nb\nc\n```\n", "holds one line"),
    ],
)
def test_a_readme_without_two_commands_is_found(
    tmp_path: Path, text: str | None, message: str
) -> None:
    """There are exactly two, of one line each."""
    readme = tmp_path / "README.md"
    if text is not None:
        readme.write_text(text, encoding="utf-8")
    found = told(texts.check_shell_blocks(readme, 2))

    assert len(found) == 1
    assert message in found[0]


def test_programs_are_found_with_their_lines(tmp_path: Path) -> None:
    """A block that says python is a program; a mark before it keeps it from running."""
    page = tmp_path / "page.md"
    page.write_text(
        "```python\na = 1\n```\n\n<!-- not run: needs a terminal -->\n\n"
        "```python\nb = 2\n```\n```python\nc = 3\n```\n```text\nd\n```\n",
        encoding="utf-8",
    )
    found = [(item.line, item.text, item.is_run) for item in texts.programs([page])]

    assert found == [(2, "a = 1\n", True), (8, "b = 2\n", False), (11, "c = 3\n", True)]
    assert next(texts.programs([page])).padded == "\na = 1\n"


def test_a_fence_that_is_left_open_is_found(tmp_path: Path) -> None:
    """The rest of the page would be swallowed in silence."""
    page = tmp_path / "page.md"
    page.write_text("```python\na = 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"page\.md:1"):
        list(texts.programs([page]))


def test_a_module_without_tests_is_found(tmp_path: Path) -> None:
    """The tests mirror the source; a private module is tested through its room."""
    source = write(
        tmp_path / "src", room__a="", room__b="", room___c="", _core__d="", e="", f=""
    )
    tests = tmp_path / "tests"
    for name in ("room/test_a.py", "core/test_d.py", "core/test_e.py"):
        (tests / name).parent.mkdir(parents=True, exist_ok=True)
        (tests / name).touch()

    assert told(texts.check_tests_exist(source, tests)) == [
        "1: has no tests/test_f.py",
        "1: has no tests/room/test_b.py",
    ]
