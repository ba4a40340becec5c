"""BLPOP: clients in line for items of lists that are empty.

Who came first is served first, and is *handed* its item: by a `oneshot` channel, at
the moment of the push, so that nobody who comes later can take it. A client that
leaves in that same moment (it has gone, its time is over, the server stops) finds the
item in its channel and puts it back, and the next in line gets it.
"""

import math
from collections import deque
from collections.abc import Sequence
from typing import TypeAlias, final

from sumida import CancellationToken, Closed, Empty, select, sleep
from sumida.channels import oneshot

from .replies import ReplyError
from .store import Store

__all__ = ("Item", "WaitingLine")

Item: TypeAlias = tuple[bytes, bytes]
"""The key of a list, and what was at its front."""


@final
class _Place:
    """Where one client stands: in the line of each of its keys."""

    __slots__ = ("keys", "sender")

    def __init__(self, keys: Sequence[bytes], sender: oneshot.Sender[Item]) -> None:
        self.keys = keys
        self.sender = sender


@final
class WaitingLine:
    """All who wait for items.

    Args:
        store: Where the lists are.
    """

    __slots__ = ("_lines", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        # Dicts for queues: one can leave from the middle.
        self._lines: dict[bytes, dict[_Place, None]] = {}

    def __repr__(self) -> str:
        return f"<WaitingLine {len(self)} waiting>"

    def __len__(self) -> int:
        return len({place for line in self._lines.values() for place in line})

    async def wait(
        self, keys: Sequence[bytes], seconds: float, gone: CancellationToken
    ) -> Item | None:
        """Wait for an item of any of some lists, which are empty now.

        Args:
            keys: The lists'.
            seconds: How long; 0 for ever, as Redis has it.
            gone: Cancelled when the client has gone, or has to.

        Returns:
            The item, which is the caller's; None if there was none.

        Cancel safety:
            Safe: an item that was handed over meanwhile goes to the next in line, or
            back to the front of its list.
        """
        sender: oneshot.Sender[Item]
        receiver: oneshot.Receiver[Item]
        sender, receiver = oneshot.channel()
        place = _Place(keys, sender)
        for key in keys:
            self._lines.setdefault(key, {})[place] = None
        try:
            match await select(
                receiver, gone.cancelled(), sleep(seconds or math.inf), biased=True
            ):
                case (0, item):
                    return item
                case _:
                    return None
        finally:
            self._leave(place)
            self._give_back(receiver)

    def serve(self) -> None:
        """Hand what was pushed to those who wait; call it when a command has ended.

        Not within one: who pushes and pops in one transaction takes it back unseen.
        """
        store = self._store
        while store.pushed:
            pushed, store.pushed = store.pushed, []
            for key in pushed:
                self._serve_key(key)

    def _serve_key(self, key: bytes) -> None:
        # Asked each time: who is served leaves, and the last one takes the line along.
        while (line := self._lines.get(key)) and isinstance(
            self._store.find(key), deque
        ):
            place = next(iter(line))
            (item,) = self._store.pop_left(key, 1)
            place.sender.send((key, item))
            self._leave(place)

    def _leave(self, place: _Place) -> None:
        for key in place.keys:
            line = self._lines.get(key)
            if line is not None:
                line.pop(place, None)
                if not line:
                    del self._lines[key]
        # Does nothing where an item was sent.
        place.sender.close()

    def _give_back(self, receiver: oneshot.Receiver[Item]) -> None:
        receiver.close()
        try:
            key, item = receiver.try_recv()
        except (Empty, Closed):
            return
        try:
            self._store.push(key, (item,), left=True)
        except ReplyError:
            return  # a string stands there now; the list had been emptied for it
        self.serve()
