"""What is let go of before an end by force."""

from sumida._core.exits import before_forced_exit, let_go


def test_all_are_called_the_latest_first() -> None:
    """Whatever one of them raises."""
    called: list[str] = []

    def fail() -> None:
        called.append("fails")
        raise KeyError("mine")

    take_back = [
        before_forced_exit(lambda: called.append("first")),
        before_forced_exit(fail),
        before_forced_exit(lambda: called.append("last")),
        before_forced_exit(lambda: called.append("taken back")),
    ]
    take_back.pop()()
    errors = let_go()
    for take in (*take_back, *take_back):
        take()
    count = len(called)
    let_go()

    assert called == ["last", "fails", "first"]
    assert len(called) == count
    assert [repr(error) for error in errors] == ["KeyError('mine')"]
