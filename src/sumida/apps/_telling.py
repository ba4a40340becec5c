"""What the demos say on the standard output, and what they do if nobody hears it."""

import os
import sys
from collections.abc import Callable

__all__ = ("exit_code_of", "tell")


def tell(text: str) -> None:
    """Write lines to the standard output, at once.

    Args:
        text: What to say; nothing is said where the process has no standard output.

    Raises:
        OSError: Its reader has left (`BrokenPipeError`), or the disk is full.
    """
    # None in a process that was started without one; typeshed does not say so.
    if getattr(sys, "stdout", None) is not None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def exit_code_of(name: str, program: Callable[[], int]) -> int:
    """Run a demo; what the system refuses becomes a sentence and an exit code.

    Args:
        name: Of the command, for the sentence.
        program: Gives the exit code.

    Returns:
        That; 1 if nobody reads the output any more, or something was refused.
    """
    code = 1
    try:
        code = program()
    except* BrokenPipeError:
        _forget_output()
    except* OSError as errors:
        _forget_output()
        error: BaseException = errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        sys.stderr.write(f"{name}: {error}\n")
    return code


def _forget_output() -> None:
    """Let what cannot be written go nowhere: the interpreter tries it at its end."""
    if getattr(sys, "stdout", None) is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
