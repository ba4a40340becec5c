"""The chat server, with clients that really connect."""

import asyncio

from sumida import CancellationToken, JoinSet
from sumida.apps.chat import Chat
from sumida.channels import oneshot
from tests.support import Run


def test_a_client_can_talk_and_set_the_topic(run: Run) -> None:
    """The topic is told, lines reach all, and who quits is gone."""

    async def main() -> list[str]:
        stop = CancellationToken()
        chat = Chat(stop, max_clients=1)
        ready: oneshot.Sender[int]
        listening: oneshot.Receiver[int]
        ready, listening = oneshot.channel()
        async with JoinSet[None]() as tasks:
            tasks.spawn(chat.serve("127.0.0.1", 0, ready.send))
            port = await listening
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            hello = (await reader.readline()).decode()
            other_reader, other_writer = await asyncio.open_connection(
                "127.0.0.1", port
            )
            full = (await other_reader.readline()).decode()
            other_writer.close()
            writer.write(b"/topic ships\nhi there\n")
            said = [(await reader.readline()).decode() for _ in range(2)]
            writer.write(b"/quit\n")
            assert await reader.read() == b""
            writer.close()
            stop.cancel()
        return [hello, full, *sorted(said)]

    hello, full, topic, line = run(main)

    assert "topic: anything goes" in hello
    assert "full" in full
    assert topic == "* topic: ships\n"
    assert line.endswith("> hi there\n")
