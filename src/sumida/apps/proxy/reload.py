"""Read the file again when it changes, or when SIGHUP comes."""

from pathlib import Path
from typing import final

from sumida import io, select, spawn_blocking
from sumida.apps.proxy.config import ConfigError
from sumida.apps.proxy.journal import Journal
from sumida.apps.proxy.loading import Loaded, load
from sumida.apps.proxy.metrics import Metrics
from sumida.channels import watch
from sumida.operation import Source

__all__ = ("Reloader",)


@final
class Reloader:
    """Sends a new configuration whenever the file holds one.

    Args:
        path: The file.
        configs: Where it goes.
        metrics: Where a refusal is counted.
        journal: Where a refusal is told.
    """

    __slots__ = ("_configs", "_journal", "_longest_drain", "_metrics", "_path")

    def __init__(
        self,
        path: Path,
        configs: watch.Sender[Loaded],
        metrics: Metrics,
        journal: Journal,
    ) -> None:
        self._path = path
        # What `run` was told to wait for at a stop, and ends the program after.
        self._longest_drain = configs.borrow().config.drain
        self._configs = configs
        self._metrics = metrics
        self._journal = journal

    def __repr__(self) -> str:
        return f"<Reloader of {self._path}>"

    async def run(self, hangup: Source[object]) -> None:
        """Reload, for ever.

        Args:
            hangup: Tells that somebody wants it, though the file has not changed: a
                certificate may have.

        Cancel safety:
            Safe: the file is watched no longer.
        """
        async with await io.watch(self._path) as changes:
            async for _ in select.loop(hangup=hangup, file=changes):
                await self.reload()

    async def reload(self) -> bool:
        """Read the file now.

        Returns:
            Whether it can be used, and was sent.

        Cancel safety:
            Safe: a cancelled call has sent nothing.
        """
        try:
            loaded = await spawn_blocking(load, self._path)
            self._check(loaded)
        except ConfigError as error:
            self._metrics.reloads["refused"] += 1
            self._journal.tell("reload", result="refused", error=str(error))
            return False
        self._configs.send(loaded)
        return True

    def _check(self, loaded: Loaded) -> None:
        longest = self._longest_drain
        if loaded.config.drain > longest:
            raise ConfigError(
                "proxy, drain",
                loaded.config.drain,
                f"at most {longest:g} seconds, as it was at the start",
                "restart for a longer one",
            )
