"""Publish and subscribe: who hears what, and what becomes of who does not listen.

Each subscriber has an inbox, a bounded `mpsc` channel, which its session empties into
its connection. Publishing never waits. A subscriber whose inbox is full is cut off, as
Redis does: a slow one holds up nobody, and never takes more memory than its inbox.
"""

import contextlib
from collections.abc import Callable
from typing import Final, final

from sumida import Closed, Empty, Full
from sumida.channels import mpsc

from .patterns import compile_pattern
from .replies import Push

__all__ = ("INBOX", "Hub", "Subscriber")

INBOX: Final = 1024
"""Messages that a subscriber may be behind."""


@final
class Subscriber:
    """A client that hears something.

    Args:
        cut_off: Ends its connection at once.
        inbox: How many messages it may be behind.

    Attributes:
        channels: The channels that it hears, in the order of its asking.
        patterns: The patterns likewise.
        inbox: What it has to be told.
        cut_off: As above.
    """

    __slots__ = ("_sender", "channels", "cut_off", "inbox", "patterns")

    def __init__(self, cut_off: Callable[[], object], inbox: int = INBOX) -> None:
        self._sender: mpsc.Sender[Push]
        self.inbox: mpsc.Receiver[Push]
        self._sender, self.inbox = mpsc.channel(inbox)
        self.cut_off = cut_off
        # Dicts for sets that keep their order.
        self.channels: dict[bytes, None] = {}
        self.patterns: dict[bytes, None] = {}

    @property
    def count(self) -> int:
        """To how many channels and patterns it is subscribed."""
        return len(self.channels) + len(self.patterns)

    def tell(self, message: Push) -> bool:
        """Put a message into the inbox.

        Args:
            message: The message.

        Returns:
            False if the inbox was full; the subscriber is cut off then.
        """
        try:
            self._sender.try_send(message)
        except Full:
            self.cut_off()
            return False
        return True

    def close(self) -> None:
        """Take no more messages, and forget those that wait; twice does no harm."""
        self._sender.close()
        self.inbox.close()
        with contextlib.suppress(Empty, Closed):
            while True:
                self.inbox.try_recv()


@final
class Hub:
    """Who is subscribed to what."""

    __slots__ = ("_channels", "_patterns")

    def __init__(self) -> None:
        self._channels: dict[bytes, dict[Subscriber, None]] = {}
        self._patterns: dict[bytes, dict[Subscriber, None]] = {}

    def __repr__(self) -> str:
        return f"<Hub {len(self._channels)} channels, {len(self._patterns)} patterns>"

    @property
    def is_unused(self) -> bool:
        """Whether nobody is subscribed to anything."""
        return not self._channels and not self._patterns

    def subscribe(self, who: Subscriber, channel: bytes) -> None:
        """Let a subscriber hear a channel.

        Args:
            who: The subscriber.
            channel: The channel.
        """
        who.channels[channel] = None
        self._channels.setdefault(channel, {})[who] = None

    def subscribe_pattern(self, who: Subscriber, pattern: bytes) -> None:
        """Let a subscriber hear all channels whose names match.

        Args:
            who: The subscriber.
            pattern: See `patterns`.
        """
        who.patterns[pattern] = None
        self._patterns.setdefault(pattern, {})[who] = None

    def unsubscribe(self, who: Subscriber, channel: bytes) -> None:
        """Let a subscriber hear a channel no more.

        Args:
            who: The subscriber.
            channel: The channel.
        """
        who.channels.pop(channel, None)
        _remove(self._channels, channel, who)

    def unsubscribe_pattern(self, who: Subscriber, pattern: bytes) -> None:
        """As `unsubscribe`, for a pattern.

        Args:
            who: The subscriber.
            pattern: The pattern, spelt as it was subscribed to.
        """
        who.patterns.pop(pattern, None)
        _remove(self._patterns, pattern, who)

    def leave(self, who: Subscriber) -> None:
        """Forget a subscriber, and close its inbox.

        Args:
            who: The subscriber.
        """
        for channel in [*who.channels]:
            self.unsubscribe(who, channel)
        for pattern in [*who.patterns]:
            self.unsubscribe_pattern(who, pattern)
        who.close()

    def publish(self, channel: bytes, message: bytes) -> int:
        """Tell all who hear a channel.

        Args:
            channel: The channel.
            message: What to tell.

        Returns:
            How many were told; one that hears it twice counts twice.
        """
        told = 0
        push = Push((b"message", channel, message))
        # Copies: who is cut off leaves.
        for who in [*self._channels.get(channel, ())]:
            told += self._tell(who, push)
        for pattern, hearers in [*self._patterns.items()]:
            if compile_pattern(pattern).fullmatch(channel):
                push = Push((b"pmessage", pattern, channel, message))
                for who in [*hearers]:
                    told += self._tell(who, push)
        return told

    def _tell(self, who: Subscriber, push: Push) -> bool:
        if who.tell(push):
            return True
        self.leave(who)
        return False


def _remove(
    places: dict[bytes, dict[Subscriber, None]], place: bytes, who: Subscriber
) -> None:
    hearers = places.get(place, {})
    hearers.pop(who, None)
    if not hearers:
        places.pop(place, None)
