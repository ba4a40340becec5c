"""The fixture `run` fails a test on everything that reached nobody.

The small tests here are run by a pytest of their own, with the settings of this
repository, and have to fail.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.support import LOOP_KINDS, LoopKind

ROOT = Path(__file__).resolve().parents[2]

HEAD = """
import asyncio
import socket
import pytest

async def forever():
    await asyncio.Event().wait()

async def fail():
    raise LookupError("nobody looked")
"""
SMALL = """
def test_{name}(run):
    async def main():
        {body}
        return 7
    {call}
"""
PLAIN = "assert run(main) == 7"
KINDS = [kind.name for kind in LOOP_KINDS if kind.why_not is None]

FAULTS = {
    "task_outlives_main": (
        "main.task = asyncio.create_task(forever(), name='the-lazy-one')",
        PLAIN,
        "tasks outlive main: the-lazy-one",
    ),
    "task_outlives_a_main_that_raised": (
        "main.task = asyncio.create_task(forever(), name='the-lazy-one'); 1 / 0",
        "pytest.raises(ZeroDivisionError, run, main)",
        "tasks outlive main: the-lazy-one",
    ),
    "exception_never_retrieved": (
        "asyncio.create_task(fail()); await asyncio.sleep(0); await asyncio.sleep(0)",
        PLAIN,
        "Task exception was never retrieved",
    ),
    "exception_held_until_the_test_ends": (
        "main.task = asyncio.create_task(fail()); await asyncio.sleep(0.01)",
        PLAIN,
        "LookupError: nobody looked",
    ),
    "callback_raises": (
        "asyncio.get_running_loop().call_soon(lambda: 1 / 0); await asyncio.sleep(0)",
        PLAIN,
        "ZeroDivisionError",
    ),
    "coroutine_never_awaited": ("forever()", PLAIN, "'forever' was never awaited"),
    "socket_left_open": ("socket.socket()", PLAIN, "ResourceWarning"),
    "socket_left_open_in_a_cycle": (
        "box = [socket.socket()]; box.append(box)",
        PLAIN,
        "ResourceWarning",
    ),
}
CLEAN = (
    "task = asyncio.create_task(fail()); await asyncio.wait([task]); "
    "task.exception(); socket.socket().close()"
)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run all the small tests in one session: the complaint of each, "" if it passed.

    A clean one comes after each fault: it must not pay for what the other did.
    """
    folder = tmp_path_factory.mktemp("small")
    parts = [HEAD]
    for name, (body, call, _) in FAULTS.items():
        parts.append(SMALL.format(name=name, body=body, call=call))
        parts.append(SMALL.format(name=f"clean_after_{name}", body=CLEAN, call=PLAIN))
    file = folder / "test_small.py"
    file.write_text("".join(parts), encoding="utf-8")
    results = folder / "results.xml"
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml")),
        *("-p", "tests.conftest", "-p", "no:cacheprovider", "-p", "no:xdist"),
        *("--rootdir", str(folder), "--junitxml", str(results), str(file)),
    ]
    done = subprocess.run(  # noqa: S603  # the test's own program
        command,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert results.exists(), done.stdout + done.stderr
    found: dict[str, str] = {}
    for case in ET.parse(results).iter("testcase"):  # noqa: S314  # made above
        if case.find("skipped") is None:
            told = [*case.iter("failure"), *case.iter("error")]
            name = case.attrib["name"]
            found[name] = found.get(name, "") + "".join(
                item.text or "" for item in told
            )
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_what_reached_nobody_fails_the_test(
    fault: str, kind: str, outcomes: dict[str, str]
) -> None:
    """It fails, on each kind of loop, with a text that says why."""
    assert FAULTS[fault][2] in outcomes[f"test_{fault}[{kind}]"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_the_next_test_does_not_pay(
    fault: str, kind: str, outcomes: dict[str, str]
) -> None:
    """A test that awaits, closes and retrieves all passes, whatever was before."""
    assert outcomes[f"test_clean_after_{fault}[{kind}]"] == ""


def test_eager_kinds_start_tasks_at_once_and_others_do_not(loop_kind: LoopKind) -> None:
    """Also on uvloop, which asks for lazy ones on CPython 3.14 if it is not told."""
    begun: list[bool] = []

    async def child() -> None:
        begun.append(True)

    async def main() -> bool:
        task = asyncio.create_task(child(), name="child")
        is_begun = bool(begun)
        await task
        return is_begun

    with asyncio.Runner(loop_factory=loop_kind.make) as runner:
        assert runner.run(main()) is loop_kind.eager
