"""AtomicInt and AtomicFlag: what each call gives, and that no thread is lost."""

import signal
from collections.abc import Callable
from enum import IntEnum
from types import FrameType

import pytest

from sumida.sync.threads import AtomicFlag, AtomicInt
from tests.sync.threads.support import together

THREADS = 8
TURNS = 500


class Level(IntEnum):
    """An int that is more than an int."""

    HIGH = 7


@pytest.mark.parametrize(
    ("call", "before", "after"),
    [
        (lambda number: number.swap(9), 5, 9),
        (lambda number: number.add(3), 5, 8),
        (lambda number: number.add(), 5, 6),
        (lambda number: number.add(-7), 5, -2),
        (lambda number: number.add(2**70), 5, 2**70 + 5),
        (lambda number: number.sub(3), 5, 2),
        (lambda number: number.sub(), 5, 4),
        (lambda number: number.fetch_max(9), 5, 9),
        (lambda number: number.fetch_max(4), 5, 5),
        (lambda number: number.fetch_min(9), 5, 5),
        (lambda number: number.fetch_min(4), 5, 4),
        (lambda number: number.fetch_update(lambda value: value * 10), 5, 50),
    ],
)
def test_each_change_gives_the_value_before(
    call: Callable[[AtomicInt], int], before: int, after: int
) -> None:
    """Every read-modify-write returns what it found and leaves what it made."""
    number = AtomicInt(5)
    given = call(number)

    assert (given, number.load()) == (before, after)


def test_store_replaces_the_value() -> None:
    """A stored value is the one that is loaded."""
    number = AtomicInt()
    assert number.load() == 0
    number.store(3)

    assert number.load() == 3
    assert repr(number) == "<AtomicInt 3>"


def test_compare_exchange_replaces_only_what_was_expected() -> None:
    """It answers with a bool, so that an `if` means what it says."""
    number = AtomicInt(1)
    first = number.compare_exchange(1, 2)
    second = number.compare_exchange(1, 3)

    assert (first, second, number.load()) == (True, False, 2)


@pytest.mark.parametrize("wrong", [True, False, 1.0, "1", None])
@pytest.mark.parametrize(
    "call",
    [
        lambda _number, wrong: AtomicInt(wrong),
        lambda number, wrong: number.store(wrong),
        lambda number, wrong: number.swap(wrong),
        lambda number, wrong: number.add(wrong),
        lambda number, wrong: number.sub(wrong),
        lambda number, wrong: number.fetch_max(wrong),
        lambda number, wrong: number.fetch_min(wrong),
        lambda number, wrong: number.compare_exchange(wrong, 1),
        lambda number, wrong: number.compare_exchange(5, wrong),
        lambda number, wrong: number.fetch_update(lambda _: wrong),
    ],
)
def test_what_is_no_integer_is_refused(
    call: Callable[[AtomicInt, object], object], wrong: object
) -> None:
    """A bool, a float or anything else is a TypeError, and changes nothing."""
    number = AtomicInt(5)
    with pytest.raises(TypeError, match="must be an int, not"):
        call(number, wrong)

    assert number.load() == 5


def test_subclass_of_int_is_stored_as_plain_int() -> None:
    """An IntEnum counts, and leaves no trace of its class."""
    number = AtomicInt(Level.HIGH)
    number.add(Level.HIGH)
    assert number.load() == 14
    number.store(Level.HIGH)

    assert type(number.load()) is int


def test_update_that_raises_changes_nothing() -> None:
    """The error of the function comes out, the value stays."""
    number = AtomicInt(5)
    with pytest.raises(ZeroDivisionError):
        number.fetch_update(lambda value: value // 0)

    assert number.load() == 5


def test_update_sees_the_value_of_a_faster_one() -> None:
    """An update that was overtaken starts again from the newer value."""
    number = AtomicInt(5)
    seen: list[int] = []

    def double(value: int) -> int:
        seen.append(value)
        if len(seen) == 1:
            number.store(100)
        return value * 2

    before = number.fetch_update(double)

    assert (seen, before, number.load()) == ([5, 100], 100, 200)


def test_no_number_is_given_twice_by_add() -> None:
    """Threads that add one each get all the numbers, each of them once."""
    number = AtomicInt()

    def work() -> list[int]:
        return [number.add(1) for _ in range(TURNS)]

    given = [value for part in together(*[work] * THREADS) for value in part]

    assert sorted(given) == list(range(THREADS * TURNS))


def test_no_update_is_lost_in_any_way_of_counting() -> None:
    """add, sub, fetch_update and a compare_exchange loop mix without loss."""
    number = AtomicInt()

    def by(change: Callable[[], object]) -> Callable[[], None]:
        def work() -> None:
            for _ in range(TURNS):
                change()

        return work

    def by_exchange() -> None:
        left = TURNS
        while left:
            value = number.load()
            left -= number.compare_exchange(value, value + 1)

    by_add = by(lambda: number.add(3))
    by_sub = by(lambda: number.sub(1))
    by_update = by(lambda: number.fetch_update(lambda value: value + 1))
    together(by_add, by_sub, by_update, by_exchange, by_add, by_sub, by_update)

    assert number.load() == TURNS * (3 + 3 - 1 - 1 + 1 + 1 + 1)


def test_greatest_of_all_threads_remains() -> None:
    """fetch_max and fetch_min keep the extremes of what all threads saw."""
    high, low = AtomicInt(), AtomicInt()

    def work(offset: int) -> None:
        for turn in range(TURNS):
            high.fetch_max(turn * THREADS + offset)
            low.fetch_min(-turn * THREADS - offset)

    together(*[lambda offset=offset: work(offset) for offset in range(THREADS)])
    last = TURNS * THREADS - 1

    assert (high.load(), low.load()) == (last, -last)


def test_signal_handler_may_count_what_it_interrupts() -> None:
    """A handler that adds to the counter in use neither hangs nor loses."""
    number = AtomicInt()
    flag = AtomicFlag()
    handled = 0

    def handler(_signum: int, _frame: FrameType | None) -> None:
        nonlocal handled
        handled += 1
        number.add(1)
        flag.toggle()

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)
    turns = 0
    try:
        while handled < 200:
            number.add(1)
            flag.toggle()
            turns += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert number.load() == turns + handled
    assert flag.is_set == ((turns + handled) % 2 == 1)


@pytest.mark.parametrize("start", [False, True])
def test_each_change_of_a_flag_gives_the_state_before(start: bool) -> None:
    """set, clear, swap and toggle return what they found."""
    results = []
    for call, after in (
        (AtomicFlag.set, True),
        (AtomicFlag.clear, False),
        (AtomicFlag.toggle, not start),
        (lambda flag: flag.swap(value=True), True),
        (lambda flag: flag.swap(value=False), False),
    ):
        flag = AtomicFlag(start)
        results.append((call(flag), flag.is_set is after))

    assert results == [(start, True)] * 5


def test_flag_compare_exchange_changes_only_what_was_expected() -> None:
    """All eight cases: state, expected, new."""
    for state in (False, True):
        for expected in (False, True):
            for new in (False, True):
                flag = AtomicFlag(state)
                changed = flag.compare_exchange(expected, new)

                assert changed is (state is expected)
                assert flag.is_set is (new if changed else state)


@pytest.mark.parametrize("wrong", [0, 1, None, "yes"])
@pytest.mark.parametrize(
    "call",
    [
        lambda _flag, wrong: AtomicFlag(wrong),
        lambda flag, wrong: flag.swap(wrong),
        lambda flag, wrong: flag.compare_exchange(wrong, new=True),
        lambda flag, wrong: flag.compare_exchange(expected=False, new=wrong),
    ],
)
def test_what_is_no_bool_is_refused(
    call: Callable[[AtomicFlag, object], object], wrong: object
) -> None:
    """A flag takes True and False, not what is true or false."""
    flag = AtomicFlag()
    with pytest.raises(TypeError, match="must be a bool, not"):
        call(flag, wrong)

    assert repr(flag) == "<AtomicFlag clear>"


def test_exactly_one_thread_is_first_to_set() -> None:
    """Of those who raise the flag one is told that it was clear; so for clear."""
    flags = [AtomicFlag() for _ in range(2000)]

    def up() -> list[bool]:
        return [flag.set() for flag in flags]

    def down() -> list[bool]:
        return [flag.clear() for flag in flags]

    raised = zip(*together(*[up] * 4), strict=True)
    assert {sum(befores) for befores in raised} == {3}
    assert repr(flags[0]) == "<AtomicFlag set>"
    lowered = zip(*together(*[down] * 4), strict=True)
    assert {sum(befores) for befores in lowered} == {1}


def test_no_toggle_is_lost() -> None:
    """An even number of toggles by many threads changes nothing."""
    flag = AtomicFlag()

    def work() -> int:
        return sum(flag.toggle() for _ in range(TURNS))

    ups_and_downs = sum(together(*[work] * THREADS))

    assert not flag.is_set
    assert ups_and_downs == THREADS * TURNS // 2
