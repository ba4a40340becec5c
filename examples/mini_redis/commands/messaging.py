# ruff: noqa: TID252  # the package is found where it lies, under any name
"""Publish and subscribe."""

from collections.abc import Callable, Iterable

from ..client import Client
from ..pubsub import Subscriber
from ..replies import Many, Push, Reply
from .table import command

__all__ = ("psubscribe", "publish", "punsubscribe", "subscribe", "unsubscribe")


@command("PUBLISH", flags="pubsub fast")
def publish(client: Client, channel: bytes, message: bytes) -> Reply:
    """Tell all who hear a channel; return how many."""
    return client.shared.hub.publish(channel, message)


@command("SUBSCRIBE", flags="pubsub hearing no_multi")
def subscribe(client: Client, channel: bytes, *channels: bytes) -> Reply:
    """Hear channels from now on."""
    hub = client.shared.hub
    return _begin(client, b"subscribe", hub.subscribe, (channel, *channels))


@command("PSUBSCRIBE", flags="pubsub hearing no_multi")
def psubscribe(client: Client, pattern: bytes, *patterns: bytes) -> Reply:
    """Hear all channels whose names match."""
    hub = client.shared.hub
    return _begin(client, b"psubscribe", hub.subscribe_pattern, (pattern, *patterns))


@command("UNSUBSCRIBE", flags="pubsub hearing no_multi")
def unsubscribe(client: Client, *channels: bytes) -> Reply:
    """Hear channels no more; all of them if none is named."""
    who = client.subscriber
    named = channels or tuple(who.channels if who else ())
    return _end(client, b"unsubscribe", client.shared.hub.unsubscribe, named)


@command("PUNSUBSCRIBE", flags="pubsub hearing no_multi")
def punsubscribe(client: Client, *patterns: bytes) -> Reply:
    """Hear patterns no more; all of them if none is named."""
    who = client.subscriber
    named = patterns or tuple(who.patterns if who else ())
    return _end(client, b"punsubscribe", client.shared.hub.unsubscribe_pattern, named)


def _begin(
    client: Client,
    kind: bytes,
    begin: Callable[[Subscriber, bytes], None],
    places: Iterable[bytes],
) -> Many:
    who = client.subscriber
    if who is None:
        who = client.subscriber = Subscriber(client.cut_off)
    replies: list[Push] = []
    for place in places:
        begin(who, place)
        replies.append(Push((kind, place, who.count)))
    client.choose_mode()
    return Many(replies)


def _end(
    client: Client,
    kind: bytes,
    end: Callable[[Subscriber, bytes], None],
    places: Iterable[bytes],
) -> Many:
    who = client.subscriber
    replies: list[Push] = []
    for place in places:
        if who is not None:
            end(who, place)
        replies.append(Push((kind, place, who.count if who else 0)))
    # To unsubscribe from all of nothing is answered, too.
    replies = replies or [Push((kind, None, who.count if who else 0))]
    if who is not None and not who.count:
        who.close()
        client.subscriber = None
    client.choose_mode()
    return Many(replies)
