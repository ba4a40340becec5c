"""The file is read again when it changes, and when somebody asks."""

import io
import json
from pathlib import Path

from sumida import JoinSet
from sumida.apps.proxy.journal import Journal
from sumida.apps.proxy.loading import Loaded, load
from sumida.apps.proxy.metrics import Metrics
from sumida.apps.proxy.reload import Reloader
from sumida.channels import watch
from sumida.sync import Notify
from tests.apps.proxy.support import until
from tests.support import Run

TEXT = '[[listener]]\nlisten = ":0"\nupstreams = ["a:1"]\nretries = {}\n'


class Reloading:
    """A reloader at work on a file of its own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "proxy.toml"
        self.write("1")
        first = load(self.path)
        self.configs: watch.Sender[Loaded]
        self.seen: watch.Receiver[Loaded]
        self.configs, self.seen = watch.channel(first)
        self.metrics = Metrics()
        self.target = io.StringIO()
        self.journal = Journal("json", self.target)
        self.reloader = Reloader(self.path, self.configs, self.metrics, self.journal)
        self.hangup = Notify()

    def write(self, retries: str) -> None:
        """Write the file anew, in place."""
        self.path.write_text(TEXT.format(retries), encoding="utf-8")

    def replace(self, retries: str) -> None:
        """Write another file, and rename it, as editors do."""
        other = self.path.with_suffix(".new")
        other.write_text(TEXT.format(retries), encoding="utf-8")
        other.replace(self.path)

    @property
    def retries(self) -> int:
        """What the last good configuration says."""
        return self.seen.borrow().config.listeners[0].retries

    async def work(self, steps: "JoinSet[None]") -> None:
        """Close what there is, when all is done."""
        steps.abort_all()
        self.journal.close()
        await self.journal.write()
        self.configs.close()
        self.seen.close()


def test_a_change_of_the_file_is_seen(run: Run, tmp_path: Path) -> None:
    """Whether it is written in place or replaced."""

    async def main() -> None:
        it = Reloading(tmp_path)
        async with JoinSet[None]() as tasks:
            tasks.spawn(it.reloader.run(it.hangup))
            # Told at the first look, whatever it looks like then.
            it.hangup.notify_one()
            await it.seen.changed()
            it.write("2")
            await until(lambda: it.retries == 2)
            it.replace("3")
            await until(lambda: it.retries == 3)
            await it.work(tasks)

    run(main)


def test_a_broken_file_is_refused_and_the_old_one_stays(
    run: Run, tmp_path: Path
) -> None:
    """With its mistake in the log; the next good one is taken."""

    async def main() -> None:
        it = Reloading(tmp_path)
        async with JoinSet[None]() as tasks:
            writing = tasks.spawn(it.journal.write())
            tasks.spawn(it.reloader.run(it.hangup))
            it.hangup.notify_one()
            await it.seen.changed()
            it.write("-1")
            await until(lambda: it.metrics.reloads["refused"])
            assert it.retries == 1
            it.path.unlink()
            await until(lambda: it.metrics.reloads["refused"] > 1)
            it.replace("5")
            await until(lambda: it.retries == 5)
            it.journal.close()
            await writing
            await it.work(tasks)
        lines = [json.loads(line) for line in it.target.getvalue().splitlines()]

        assert lines[0]["event"] == "reload"
        assert lines[0]["result"] == "refused"
        assert "listener 1, retries = -1: must be" in lines[0]["error"]
        assert "proxy.toml" in lines[1]["error"]

    run(main)


def test_a_longer_drain_needs_a_restart(run: Run, tmp_path: Path) -> None:
    """The program ends some seconds after the one of its start."""

    async def main() -> None:
        it = Reloading(tmp_path)
        for seconds, is_good in ((31, False), (29, True)):
            text = f"[proxy]\ndrain = {seconds}\n{TEXT.format(1)}"
            it.path.write_text(text, encoding="utf-8")
            assert await it.reloader.reload() is is_good
        assert it.seen.borrow().config.drain == 29
        async with JoinSet[None]() as tasks:
            await it.work(tasks)

    run(main)


def test_a_hangup_reads_a_file_that_has_not_changed(run: Run, tmp_path: Path) -> None:
    """Its certificates may have."""

    async def main() -> None:
        it = Reloading(tmp_path)
        before = it.seen.borrow()
        assert await it.reloader.reload()
        assert it.seen.has_changed()
        assert it.seen.borrow() is not before
        assert it.seen.borrow().config == before.config
        async with JoinSet[None]() as tasks:
            await it.work(tasks)

    run(main)
