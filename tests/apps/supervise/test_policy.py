"""Restarts, waits, and the exit code of the whole."""

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumida.apps.supervise.policy import Again, Finished, Outcome, Restarts
from sumida.apps.supervise.settings import BackOff, RestartPolicy, Settings


def restarts(
    restart: RestartPolicy = "on-failure",
    back_off: BackOff | None = None,
    stable_after: float = 10,
    max_restarts: int | None = None,
) -> Restarts:
    """Make the decider of a process with these settings."""
    return Restarts(
        Settings(
            name="x",
            command=("true",),
            cwd=Path("/"),
            restart=restart,
            back_off=back_off or BackOff(1, 2, 10),
            stable_after=stable_after,
            max_restarts=max_restarts,
        )
    )


def delays(decider: Restarts, runs: list[float]) -> list[float | None]:
    """Let it fail after running for so long each time; the delays, None at the end."""
    found: list[float | None] = []
    now = 0.0
    for seconds in runs:
        decider.on_start(now)
        now += seconds
        decision = decider.on_end(now, is_success=False)
        found.append(decision.delay if isinstance(decision, Again) else None)
    return found


@pytest.mark.parametrize(
    ("restart", "is_success", "again"),
    [
        ("never", True, False),
        ("never", False, False),
        ("on-failure", True, False),
        ("on-failure", False, True),
        ("always", True, True),
        ("always", False, True),
    ],
)
def test_the_policy_decides(
    restart: RestartPolicy, is_success: bool, again: bool
) -> None:
    """Each of the three, for both ends."""
    decision = restarts(restart).on_end(0, is_success=is_success)

    assert isinstance(decision, Again) is again
    if isinstance(decision, Finished):
        assert decision.is_success is is_success


def test_waits_grow_to_the_ceiling() -> None:
    """Doubled each time, and never above it."""
    assert delays(restarts(), [0] * 6) == [1, 2, 4, 8, 10, 10]


def test_a_stable_time_begins_anew() -> None:
    """As if it had never failed; just short of it does not count."""
    assert delays(restarts(), [0, 0, 9.99, 10, 0]) == [1, 2, 4, 1, 2]


def test_a_limit_gives_up_and_a_stable_time_forgives() -> None:
    """So many restarts in a row."""
    decider = restarts(max_restarts=2)

    assert delays(decider, [0, 0, 10, 0, 0]) == [1, 2, 1, 2, None]
    assert isinstance(restarts(max_restarts=0).on_end(0, is_success=False), Finished)


def test_a_process_that_could_not_start_was_never_stable() -> None:
    """Its time does not count, however late the failure comes."""
    decider = restarts(stable_after=0)

    found = [decider.on_end(now, is_success=False) for now in (0, 1000, 2000)]

    assert found == [Again(1, 1), Again(2, 2), Again(4, 3)]


@given(
    st.builds(
        Settings,
        name=st.just("x"),
        command=st.just(("true",)),
        cwd=st.just(Path("/")),
        restart=st.sampled_from(get_args(RestartPolicy)),
        back_off=st.builds(
            BackOff, st.floats(0, 10), st.floats(1, 100), st.floats(10, 86_400)
        ),
        stable_after=st.floats(0, 100),
        max_restarts=st.none() | st.integers(0, 5),
    ),
    st.lists(st.tuples(st.floats(0, 1000), st.booleans()), max_size=300),
)
def test_any_history_keeps_the_promises(
    settings: Settings, history: list[tuple[float, bool]]
) -> None:
    """Waits stay between first and ceiling and never shrink before a stable time."""
    decider = Restarts(settings)
    restart, first = settings.restart, settings.back_off.first
    before = first
    in_a_row = 0
    now = 0.0
    for seconds, is_success in history:
        decider.on_start(now)
        began, now = now, now + seconds
        if now - began >= settings.stable_after:
            before, in_a_row = first, 0
        decision = decider.on_end(now, is_success=is_success)

        if isinstance(decision, Finished):
            assert (
                restart == "never"
                or (restart == "on-failure" and is_success)
                or in_a_row == settings.max_restarts
            )
            assert decision.is_success is is_success
            return
        in_a_row += 1
        assert decision.attempt == in_a_row
        assert before <= decision.delay <= settings.back_off.max
        before = decision.delay


def test_the_first_failure_ends_all_and_gives_its_code() -> None:
    """A success ends nothing, a later failure changes nothing."""
    outcome = Outcome("first-failure")

    assert not outcome.on_finished(0)
    assert outcome.on_finished(137)
    assert not outcome.on_finished(3)
    assert outcome.code == 137


def test_with_all_nothing_ends_the_others() -> None:
    """The code is that of the first failure all the same."""
    outcome = Outcome("all")

    assert outcome.code == 0
    assert not any(outcome.on_finished(code) for code in (0, 4, 5))
    assert outcome.code == 4
