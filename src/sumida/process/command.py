"""Say what to start, and start it."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, final

from sumida.io.stream import READ_TO_END_LIMIT
from sumida.process._collect import collect
from sumida.process._options import Group, Options, Stdio
from sumida.process.child import Child
from sumida.process.output import Output
from sumida.process.pipeline import Pipeline
from sumida.process.spawning import Spawning
from sumida.process.status import ExitStatus

__all__ = ("Command",)


@final
class Command:
    """A program and its arguments, and how to start it; nothing runs yet.

    Each method gives a new command and leaves this one as it is, so a command can be
    kept and started again and again. There is no shell, unless `shell` is asked for.

    Args:
        program: A name that is looked for in PATH, or a path.
        *arguments: What follows it, one argument each, whatever is in them.

    Raises:
        TypeError: An argument is no str and no path.

    Source:
        `tokio::process::Command`
    """

    __slots__ = ("_options",)

    def __init__(
        self, program: str | os.PathLike[str], *arguments: str | os.PathLike[str]
    ) -> None:
        self._options = Options(_text(program), tuple(map(_text, arguments)))

    def __repr__(self) -> str:
        return f"<Command {' '.join(self._options.argv)}>"

    def _with(self, **changes: object) -> "Command":
        made = object.__new__(Command)
        made._options = replace(self._options, **changes)  # type: ignore[arg-type]  # each method gives what belongs there
        return made

    @property
    def name(self) -> str:
        """The program, as it was given."""
        return self._options.name

    def args(self, *arguments: str | os.PathLike[str]) -> "Command":
        """Add arguments.

        Args:
            *arguments: One argument each.

        Returns:
            A new command.
        """
        return self._with(
            arguments=self._options.arguments + tuple(map(_text, arguments))
        )

    def shell(self) -> "Command":
        """Let `/bin/sh` read the program as a line of its language.

        The arguments are `$1`, `$2` ... in it. Never put into the line what comes from
        elsewhere: give it as an argument.

        Returns:
            A new command.
        """
        return self._with(shell=True)  # noqa: S604  # asked for

    def env(
        self, variables: Mapping[str, str | None] | None = None, /, **more: str | None
    ) -> "Command":
        """Set environment variables beside those that are inherited.

        Args:
            variables: Names and values; None takes one away.
            **more: The same.

        Returns:
            A new command.
        """
        options = self._options
        env = dict(os.environ if options.env is None else options.env)
        for name, value in {**(variables or {}), **more}.items():
            if value is None:
                env.pop(name, None)
            else:
                env[name] = value
        return self._with(env=env)

    def clear_env(self) -> "Command":
        """Inherit no environment variable.

        Returns:
            A new command.
        """
        return self._with(env={})

    def cwd(self, directory: str | os.PathLike[str]) -> "Command":
        """Start it in another directory.

        Args:
            directory: Its path.

        Returns:
            A new command.
        """
        return self._with(cwd=_text(directory))

    def stdin(self, where: Stdio) -> "Command":
        """Say what it reads.

        Args:
            where: "pipe" for `Child.stdin`; "null" for nothing, which is the default:
                a child in a group of its own that read our terminal would be stopped
                by that; "inherit" for what we read; a file or a descriptor; or the
                stream of another child.

        Returns:
            A new command.
        """
        return self._with(stdin=where)

    def stdout(self, where: Stdio) -> "Command":
        """Say where it writes.

        Args:
            where: As for `stdin`; "inherit" by default.

        Returns:
            A new command.
        """
        return self._with(stdout=where)

    def stderr(self, where: Stdio | Literal["stdout"]) -> "Command":
        """Say where it complains.

        Args:
            where: As for `stdin`; "inherit" by default; "stdout" for where that leads.

        Returns:
            A new command.
        """
        return self._with(stderr=where)

    def group(self, group: Group) -> "Command":
        """Say to which process group it belongs.

        Args:
            group: "own", the default: it leads a group, so that it can be ended with
                all that it starts, and a Ctrl-C reaches us and not it; "session": it
                leads a session without a terminal too; "shared": it stays in ours, for
                a program that uses our terminal, and only it itself is signalled.

        Returns:
            A new command.

        Raises:
            ValueError: `group` is none of these.
        """
        if group not in ("own", "session", "shared"):
            raise ValueError(f"group must be own, session or shared, not {group!r}")
        return self._with(group=group)

    def pty(self, columns: int = 80, rows: int = 24) -> "Command":
        """Give it a terminal of its own, instead of three streams.

        It leads a session then. `Child.stdin` and `Child.stdout` are the two
        directions of that terminal.

        Args:
            columns: Characters in a line, 1 or more.
            rows: Lines, 1 or more.

        Returns:
            A new command.

        Raises:
            ValueError: A number is less than 1.
        """
        if columns < 1 or rows < 1:
            raise ValueError(f"a terminal has 1 x 1 or more, not {columns} x {rows}")
        return self._with(pty=(columns, rows), group="session")

    def die_with_parent(self) -> "Command":
        """Let the kernel kill it when this process ends, even by SIGKILL (Linux).

        Only it itself, not what it starts; and not a program that changes its user. It
        costs some 15 ms, as another interpreter is started first. The kernel takes the
        thread that runs the event loop for the parent.

        Returns:
            A new command.
        """
        return self._with(dies_with_parent=True)

    def grace(self, seconds: float) -> "Command":
        """Say how long it may take to end when its block is left.

        Args:
            seconds: From SIGTERM to SIGKILL, 0 or more; 5 by default.

        Returns:
            A new command.

        Raises:
            ValueError: `seconds` is negative.
        """
        if not seconds >= 0:
            raise ValueError(f"grace must be 0 seconds or more, not {seconds}")
        return self._with(grace=seconds)

    def spawn(self) -> Spawning[Child]:
        """Start it.

        Returns:
            What gives the `Child` when awaited, or at the head of an `async with`.

        Raises:
            SpawnError: When awaited: it cannot be started.

        Cancel safety:
            Safe: it does not wait, so there is no child that nobody has.
        """
        options = self._options
        return Spawning(lambda: Child(options), options.name)

    async def output(
        self,
        input: bytes | None = None,  # noqa: A002  # the word that fits
        *,
        limit: int = READ_TO_END_LIMIT,
    ) -> Output:
        """Start it, write to it, and keep all that it writes, until it has ended.

        It writes and reads at once, so no pipe can fill up and stop the child. Where
        `stdout` or `stderr` was told to lead elsewhere, it does. A child that reads no
        more than a part of `input` is no error. It lasts until all that inherited the
        two streams have closed them.

        Args:
            input: What it reads; None for what `stdin` says.
            limit: Bytes of each stream that are kept in memory, 0 or more.

        Returns:
            What it wrote, and how it ended.

        Raises:
            SpawnError: It cannot be started.
            OutputLimitError: It wrote more than `limit`; it was killed.
            TypeError: `input` is no bytes.
            ValueError: `limit` is negative.

        Cancel safety:
            Not safe: the child's group is ended, and what it wrote is lost.

        Source:
            `tokio::process::Command::output`
        """
        if input is not None and not isinstance(input, bytes):
            raise TypeError(f"input must be bytes, not {type(input).__name__}")
        if limit < 0:
            raise ValueError(f"limit must be 0 bytes or more, not {limit}")
        options = self._options
        options = replace(
            options,
            stdin=options.stdin if input is None else "pipe",
            stdout="pipe" if options.stdout is None else options.stdout,
            stderr="pipe" if options.stderr is None else options.stderr,
        )
        return await collect(options, input, limit)

    async def status(self) -> ExitStatus:
        """Start it, and wait until it has ended.

        Returns:
            How it ended.

        Raises:
            SpawnError: It cannot be started.

        Cancel safety:
            Not safe: the child's group is ended.
        """
        async with self.spawn() as child:
            return await child.wait()

    def __or__(self, after: "Command") -> Pipeline:
        return Pipeline((self._options, after._options))

    def __ror__(self, before: Pipeline) -> Pipeline:
        return Pipeline((*before.stages, self._options))


def _text(argument: str | os.PathLike[str]) -> str:
    text = os.fspath(argument)
    if not isinstance(text, str):
        raise TypeError(f"an argument must be a str or a path, not {argument!r}")
    return text
