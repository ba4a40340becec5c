"""The tests of the tour take its text as it stands, line by line."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent

SECTIONS = {int(path.name.split("_")[2]): path for path in FOLDER.glob("test_tour_*")}


def bare(code: str) -> str:
    """Leave out comments, blanks, and the dots that stand for a body."""
    code = re.sub(r"\s# .*", "", code)
    return re.sub(r"\s+", "", code).removesuffix("...")


def lines_of(page: str, section: int) -> Iterator[str]:
    """Give the code of a section of the tour."""
    body = re.split(r"^## (\d+)\. ", page, flags=re.MULTILINE)
    numbers = [int(number) for number in body[1::2]]
    for block in re.findall(
        r"```python\n(.*?)```", body[2 * numbers.index(section) + 2], flags=re.DOTALL
    ):
        for line in block.splitlines():
            if not line.lstrip().startswith("#"):
                yield line


def missing(page: str, section: int, test: str) -> list[str]:
    """Give the lines of a section that its test has not."""
    rows = {bare(line) for line in test.splitlines()}
    whole = bare(re.sub(r",(\s*[)\]}])", r"\1", re.sub(r"\s# .*", "", test)))
    imported = dict(re.findall(r"from (\S+) import \(?([^()]*?)\)?\n(?! )", test))
    absent = []
    for line in lines_of(page, section):
        found = re.match(r"from (\S+) import (.+)", line)
        if found is not None:
            names = {bare(name) for name in imported.get(found[1], "").split(",")}
            is_there = {bare(name) for name in found[2].split(",")} <= names
        else:
            # A line that is short there may be broken in the test.
            is_there = bare(line) in rows or (
                len(bare(line)) > 20 and bare(line) in whole
            )
        if not is_there:
            absent.append(line)
    return absent


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_each_line_of_the_tour_is_run(section: int) -> None:
    """Nothing is left out, and nothing is another."""
    page = (FOLDER / "tour.txt").read_text(encoding="utf-8")
    test = SECTIONS[section].read_text(encoding="utf-8")

    assert missing(page, section, test) == []


def test_each_section_has_its_test() -> None:
    """And no test is of a section that there is not."""
    page = (FOLDER / "tour.txt").read_text(encoding="utf-8")
    numbers = re.findall(r"^## (\d+)\. ", page, flags=re.MULTILINE)

    assert [int(number) for number in numbers] == sorted(SECTIONS)


def test_a_line_that_is_another_is_found() -> None:
    """In a number, in a name, and in what is imported."""
    page = """## 1. One

```python
from top import a, b
x = a(64)       # and so on
async for y in x: ...
# nothing but words
```
"""
    right = "from top import a, b, c\nx = a(64)\nasync for y in x:\n    use(y)\n"

    assert missing(page, 1, right) == []
    assert missing(page, 1, right.replace("64", "65")) == [
        "x = a(64)       # and so on"
    ]
    assert missing(page, 1, right.replace("a, b", "a")) == ["from top import a, b"]
    assert missing(page, 1, right.replace(" in x", " in z")) == [
        "async for y in x: ..."
    ]
