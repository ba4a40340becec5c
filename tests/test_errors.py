"""Each error says what happened, with the value, the limit and the way out."""

import pytest

from sumida import errors


def test_what_was_not_sent_is_given_back() -> None:
    """One item, several, or none."""
    assert errors.Closed("channel", "x").item == "x"
    assert errors.Full("channel", 3, "x", "y").unsent == ("x", "y")
    for error in (errors.Closed("channel"), errors.Full("channel", 3)):
        with pytest.raises(AttributeError, match="carries no item"):
            _ = error.item


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errors.Closed("channel"), "channel is closed"),
        (errors.Closed("channel", 1), "error.unsent"),
        (errors.Full("channel", 3, 1), "no room left of 3"),
        (errors.Empty("channel"), "channel is empty"),
        (errors.Lagged(4), "missed 4 messages"),
        (errors.AlreadySent(1), "one value"),
        (errors.NoPermits(3, 1), "3 permits wanted, 1 available"),
        (errors.WouldBlock("mutex"), "mutex is held"),
        (errors.AlreadyInitialized("set", 1), "error.value"),
        (errors.Elapsed(0.5, "x"), "after 0.5 s, waiting for x"),
        (errors.AccessError("ID"), "with ID.scope(value)"),
        (errors.WorkerDiedError("f", -9), "exit code -9"),
        (errors.FrameTooLargeError("line", 9, 5), "line of 9 bytes is above the li"),
        (errors.InvalidFrameError("no JSON", b"{"), "no JSON: b'{'"),
        (errors.InvalidFrameError("no", b"x" * 99), "xxx' and 99 bytes in all"),
        (errors.MisuseError("a", "b"), "a; b"),
        (errors.StorageFullError("/x"), "the disk is full; not all was written: '/x'"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_has_a_sentence(error: errors.SumidaError, words: str) -> None:
    """What, the value, and what to do."""
    assert words in str(error)
