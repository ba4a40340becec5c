"""Whole programs with worker processes: how they end, and what they leave behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime.support import LONG, until_gone

HEAD = (
    "import asyncio, os, sys, time, signal, warnings\n"
    "from sumida.runtime.cpu import spawn_cpu, shutdown_cpu\n"
    "MARK = os.path.join(os.path.dirname(__file__), 'mark')\n"
    "def stick():\n"
    "    open(MARK, 'w').close()\n"
    "    print(os.getpid(), flush=True)\n"
    "    time.sleep(600)\n"
    "def spin():\n"
    "    print(os.getpid(), flush=True)\n"
    "    while True: pass\n"
)


def start(tmp_path: Path, code: str) -> subprocess.Popen[str]:
    """Start a program that uses spawn_cpu."""
    path = tmp_path / "program.py"
    path.write_text(HEAD + code)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(  # our own code  # noqa: S603
        [sys.executable, "-W", "error", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


@pytest.mark.parametrize("function", ["stick", "spin"])
def test_workers_end_when_the_parent_is_killed(tmp_path: Path, function: str) -> None:
    """Even in the middle of a call, even by SIGKILL."""
    main = f"if __name__ == '__main__':\n    asyncio.run(spawn_cpu({function}))\n"
    with start(tmp_path, main) as program:
        assert program.stdout is not None
        worker = int(program.stdout.readline())
        program.kill()

        assert until_gone(worker)


def test_the_interpreter_ends_with_a_worker_at_work(tmp_path: Path) -> None:
    """At once, without a word on stderr, and without the worker."""
    main = (
        "async def until_there():\n"
        "    while not os.path.exists(MARK): await asyncio.sleep(0.01)\n"
        "if __name__ == '__main__':\n"
        "    loop = asyncio.new_event_loop()\n"
        "    task = loop.create_task(spawn_cpu(stick))\n"
        "    loop.run_until_complete(until_there())\n"
        "    task._log_destroy_pending = False\n"
        "    loop.close()\n"
    )
    with start(tmp_path, main) as program:
        output, errors = program.communicate(timeout=LONG)

        assert (program.returncode, errors) == (0, "")
        assert until_gone(int(output))


def test_a_clean_end_leaves_nothing_to_say(tmp_path: Path) -> None:
    """No warning of the resource tracker, with and without shutdown."""
    for ending in ("", "    await shutdown_cpu(10)\n"):
        main = (
            "async def main():\n    print(await spawn_cpu(abs, -3))\n" + ending + "\n"
            "if __name__ == '__main__':\n    asyncio.run(main())\n"
        )
        with start(tmp_path, main) as program:
            output, errors = program.communicate(timeout=LONG)

            assert (program.returncode, output, errors) == (0, "3\n", "")


def test_an_interrupt_of_the_group_is_the_parents_affair(tmp_path: Path) -> None:
    """Ctrl-C while workers start and work: no traceback of theirs is printed."""
    main = (
        "async def main():\n"
        "    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, int)\n"
        "    tasks = [asyncio.create_task(spawn_cpu(abs, n)) for n in range(4)]\n"
        "    await asyncio.sleep(0.03)\n"
        "    for n in range(40):\n"
        "        os.killpg(0, signal.SIGINT)\n"
        "        await asyncio.sleep(0.005)\n"
        "    print([await task for task in tasks])\n"
        "    await shutdown_cpu(10)\n"
        "if __name__ == '__main__':\n    asyncio.run(main())\n"
    )
    with start(tmp_path, main) as program:
        output, errors = program.communicate(timeout=LONG)

        assert (program.returncode, output, errors) == (0, "[0, 1, 2, 3]\n", "")


def test_a_program_without_the_main_guard_is_told(tmp_path: Path) -> None:
    """The worker cannot start, and the note says what is missing."""
    main = (
        "try:\n    asyncio.run(spawn_cpu(abs, -3))\n"
        "except Exception as error:\n    print(error.__notes__[0])\n"
    )
    with start(tmp_path, main) as program:
        output, _errors = program.communicate(timeout=LONG)

        assert 'needs `if __name__ == "__main__":`' in output


def test_a_forked_child_leaves_the_parents_workers_alone(tmp_path: Path) -> None:
    """It ends without killing them, and can start its own."""
    main = (
        "if __name__ == '__main__':\n"
        "    warnings.simplefilter('ignore')\n"
        "    pid = asyncio.run(spawn_cpu(os.getpid))\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        other = asyncio.run(spawn_cpu(os.getpid))\n"
        "        sys.exit(0 if other != pid else 9)\n"
        "    _, status = os.waitpid(child, 0)\n"
        "    same = asyncio.run(spawn_cpu(os.getpid)) == pid\n"
        "    print(os.waitstatus_to_exitcode(status), same)\n"
    )
    with start(tmp_path, main) as program:
        output, errors = program.communicate(timeout=LONG)

        assert (program.returncode, output, errors) == (0, "0 True\n", "")


def test_a_worker_has_no_workers(tmp_path: Path) -> None:
    """It is told so by name, and its own caller too."""
    program = start(
        tmp_path,
        "def nested():\n"
        "    asyncio.run(spawn_cpu(abs, -1))\n"
        "async def main():\n"
        "    try:\n"
        "        await spawn_cpu(nested)\n"
        "    finally:\n"
        "        await shutdown_cpu(5)\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n",
    )
    _, told = program.communicate(timeout=LONG)

    assert program.returncode == 1
    assert "MisuseError: spawn_cpu was called in a worker process" in told
