"""One connection: read a batch of requests, answer it by one write, and again.

Pipelined requests arrive together, and their replies go out together: that is half of
what makes pipelining fast. Back-pressure is what `send` does: it waits while the client
does not read, and meanwhile nothing more of that client is read or carried out.
"""

import contextlib
from typing import Final, final

from sumida import (
    CancellationToken,
    Closed,
    Elapsed,
    Empty,
    select,
    timeout,
    yield_now,
)
from sumida.errors import Disconnected
from sumida.net import Framed, TcpStream, connection_token
from sumida.operation import PENDING

from .client import Block, Shared
from .commands import Outcome, execute
from .protocol import MAX_BATCH, ProtocolError, Request, RequestCodec
from .pubsub import Subscriber
from .replies import ABSENT, RESP2, Push, Reply, ReplyError, Simple, encode, pieces

__all__ = ("LINGER", "Session")

LINGER: Final = 0.5
"""Seconds that a client has to read the last replies before its connection ends."""

_FLUSH_AT: Final = 64 * 1024
"""Bytes of replies that are gathered before they are sent: what a stream holds."""

_SIMPLE_KINDS: Final = frozenset({bytes, Simple, int, type(None), ReplyError})

_INBOX_BATCH: Final = 64
"""Messages that a subscriber is sent by one write."""


@final
class Session:
    """One client's connection.

    Args:
        stream: The connection.
        shared: What all clients share.
        stopping: Cancelled when the server stops.

    Attributes:
        is_idle: Whether every request that has arrived is answered.
    """

    __slots__ = (
        "_client",
        "_framed",
        "_is_over",
        "_output",
        "_shared",
        "_stopping",
        "_stream",
        "is_idle",
    )

    def __init__(
        self, stream: TcpStream, shared: Shared, stopping: CancellationToken
    ) -> None:
        self._stream = stream
        self._shared = shared
        self._stopping = stopping
        self._framed: Framed[list[Request], bytes] = Framed(
            stream, RequestCodec(shared.limits)
        )
        self._client = shared.admit(
            "{}:{}".format(*stream.peer_address[:2]), stream.abort
        )
        self._output = bytearray()
        self._is_over = False
        self.is_idle = True

    async def run(self) -> None:
        """Serve the client until it leaves, or has to.

        Cancel safety:
            Not safe: a reply may be cut off. To stop, cancel the `stopping` token.
        """
        try:
            while not self._client.is_leaving:
                if self._stopping.is_cancelled:
                    # What has arrived is answered, and nothing is waited for.
                    batch = self._framed.recv().poll()
                    if batch is PENDING:
                        break
                elif self._client.subscriber is None:
                    # Alone: a `select` would cost a third of the time of a GET.
                    batch = await self._framed
                else:
                    batch = await self._push_until_batch(self._client.subscriber)
                if self._is_over:
                    return
                self.is_idle = False
                await self._answer(batch)
                self.is_idle = True
        except Closed:
            return  # the client has hung up
        except ProtocolError as error:
            self._shared.statistics.refused += 1
            reply = encode(ReplyError(f"ERR Protocol error: {error}"), RESP2)
            await self._framed.send(reply)
        finally:
            self._shared.dismiss(self._client)
        # Not just closed: what it had sent meanwhile would make that a reset, which
        # can overtake the last reply.
        await self._stream.close_gracefully(LINGER)

    async def leave(self) -> None:
        """End an idle session from outside, because the server stops.

        Ending our side tells the client. Its end ends `run`; if it does not come, a
        close does.

        Cancel safety:
            Safe.
        """
        self._is_over = True
        with contextlib.suppress(Closed, Disconnected, Elapsed):
            async with timeout(LINGER):
                await self._stream.shutdown()
                await self._stream.wait_closed()
        self._stream.close()

    async def _answer(self, batch: list[Request]) -> None:
        """Carry out requests; all that they answer goes out together."""
        client = self._client
        shared = self._shared
        store = shared.store
        output = self._output
        shared.statistics.commands += len(batch)
        if client.subscriber is not None:
            await self._empty_inbox(client.subscriber)
        for request in batch:
            reply = execute(client, request)
            if store.pushed:
                shared.line.serve()
            if type(reply) in _SIMPLE_KINDS:
                output += encode(reply, client.protocol)  # type: ignore[arg-type]  # seen
                if len(output) >= _FLUSH_AT:
                    await self._flush()
            else:
                await self._answer_at_length(reply)
            if client.is_leaving:
                break
        if output:
            data = bytes(output)
            output.clear()
            await self._framed.send(data)
        if len(batch) == MAX_BATCH:
            # There is more, so it would not wait; others want to run, too.
            await yield_now()

    async def _answer_at_length(self, reply: Outcome) -> None:
        """Give a reply that has parts, or that has to be waited for."""
        client = self._client
        if isinstance(reply, Block):
            await self._flush()
            reply = await self._wait(reply)
        for piece in pieces(reply, client.protocol):
            self._output += piece
            if len(self._output) >= _FLUSH_AT:
                await self._flush()

    async def _wait(self, block: Block) -> Reply:
        """Wait for an item of a list, while the client does."""
        gone = connection_token()
        item = await self._shared.line.wait(block.keys, block.seconds, gone)
        if item is None and gone.is_cancelled:
            if not self._stopping.is_cancelled:
                raise Closed("the client")
            return ReplyError("UNBLOCKED the server stops")
        return ABSENT if item is None else item

    async def _flush(self) -> None:
        output = self._output
        if output:
            data = bytes(output)
            output.clear()
            await self._framed.send(data)

    # Messages of channels that the client has subscribed to.

    async def _push_until_batch(self, subscriber: Subscriber) -> list[Request]:
        """Send what comes into the inbox until there are requests."""
        while True:
            # In turn if both are busy: a flood of messages must not keep the client
            # from unsubscribing.
            match await select(
                subscriber.inbox.recv_many(_INBOX_BATCH), self._framed.recv()
            ):
                case (0, pushes):
                    if not pushes:
                        raise Closed("the inbox")  # it was full: see `Hub`
                    await self._push(pushes)
                case (1, batch):
                    return batch

    async def _empty_inbox(self, subscriber: Subscriber) -> None:
        """Send what was published before the requests that are answered next."""
        with contextlib.suppress(Empty):
            while True:
                await self._push([subscriber.inbox.try_recv()])

    async def _push(self, pushes: list[Push]) -> None:
        for push in pushes:
            await self._answer_at_length(push)
        await self._flush()
