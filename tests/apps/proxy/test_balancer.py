"""Whom the balancer picks, and whom it takes for dead."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumida.apps.proxy.balancer import Balancer, Upstream
from sumida.apps.proxy.config import Address, HealthConfig, UpstreamConfig

CHECKED = HealthConfig(interval=1, rise=2, fall=3)
UNCHECKED = HealthConfig(interval=0, fall=2, retry_after=10)


def upstreams(count: int, limit: int = 0) -> list[UpstreamConfig]:
    """Make some, on ports 1, 2, 3 ..."""
    return [
        UpstreamConfig(address=Address("h", n + 1), max_connections=limit)
        for n in range(count)
    ]


def take(balancer: Balancer, now: float = 0.0) -> Upstream:
    """Pick one that must be there."""
    chosen = balancer.pick(now)
    assert isinstance(chosen, Upstream)
    return chosen


def put_down(balancer: Balancer, *ports: int, now: float = 0.0) -> None:
    """Let the ones on these ports fail until they are down."""
    for each in balancer.upstreams:
        while each.address.port in ports and each.is_healthy:
            balancer.failed(each, now)


def test_round_robin_goes_in_turn() -> None:
    """In the order of the file, whatever each has to do."""
    balancer = Balancer(upstreams(3), "round-robin", CHECKED)

    ports = [take(balancer).address.port for _ in range(7)]

    assert ports == [1, 2, 3, 1, 2, 3, 1]


def test_least_connections_takes_the_idlest_and_equals_in_turn() -> None:
    """So that the first of the file does not get all the short ones."""
    balancer = Balancer(upstreams(3), "least-connections", CHECKED)
    first = [take(balancer) for _ in range(3)]

    assert [each.address.port for each in first] == [1, 2, 3]
    balancer.release(first[1])
    assert take(balancer) is first[1]
    for each in first:
        balancer.release(each)
    assert [take(balancer).address.port for _ in range(3)] == [3, 1, 2]


@given(
    st.integers(1, 6),
    st.sets(st.integers(1, 6)),
    st.integers(0, 3),
    st.sampled_from(["round-robin", "least-connections"]),
    st.lists(st.integers(0, 9), max_size=40),
)
@settings(max_examples=300, deadline=None)
def test_it_never_picks_one_that_is_down_while_another_is_up(
    count: int, down: set[int], limit: int, balance: str, releases: list[int]
) -> None:
    """Nor one that is full; and the idlest of those, if that is wanted."""
    balancer = Balancer(upstreams(count, limit), balance, CHECKED)
    put_down(balancer, *down)
    busy: list[Upstream] = []
    for number in releases:
        before = {each: each.active for each in balancer.upstreams}
        chosen = balancer.pick(0.0)
        up = [each for each in before if each.is_healthy]
        free = [each for each in up or before if not limit or before[each] < limit]
        if chosen == "full":
            assert not free
        else:
            assert isinstance(chosen, Upstream)
            assert chosen in free
            assert chosen.active == before[chosen] + 1
            if balance == "least-connections":
                assert before[chosen] == min(before[each] for each in free)
            busy.append(chosen)
        if busy and number < 5:
            balancer.release(busy.pop(number % len(busy)))

    assert sum(each.active for each in balancer.upstreams) == len(busy)


@given(st.integers(1, 7), st.sets(st.integers(1, 7)), st.integers(1, 60))
@settings(deadline=None)
def test_round_robin_is_fair(count: int, down: set[int], turns: int) -> None:
    """Nobody who is up gets two more than another."""
    balancer = Balancer(upstreams(count), "round-robin", CHECKED)
    put_down(balancer, *down)
    served = Counter(take(balancer).address.port for _ in range(turns))

    up = [each.address.port for each in balancer.upstreams if each.is_healthy]
    counts = [served[port] for port in up or range(1, count + 1)]
    assert max(counts) - min(counts) <= 1
    assert sum(counts) == turns


def test_when_all_are_down_they_are_tried_all_the_same() -> None:
    """The checks may be wrong, and a refusal is certain."""
    balancer = Balancer(upstreams(2), "round-robin", CHECKED)
    put_down(balancer, 1, 2)

    assert not balancer.has_healthy
    assert [take(balancer).address.port for _ in range(2)] == [1, 2]


def test_who_was_tried_is_not_picked_again() -> None:
    """None when all were; full ones are waited for."""
    balancer = Balancer(upstreams(2, limit=1), "round-robin", CHECKED)
    one, other = Address("h", 1), Address("h", 2)

    assert balancer.pick(0.0, {one, other}) is None
    second = balancer.pick(0.0, {one})
    assert isinstance(second, Upstream)
    assert second.address == other
    assert balancer.pick(0.0, {one}) == "full"
    balancer.release(second)
    assert balancer.pick(0.0, {one}) is second


def test_fall_and_rise_count_in_a_row() -> None:
    """One success among the failures begins anew, and the other way round."""
    told: list[tuple[int, bool]] = []
    balancer = Balancer(
        upstreams(1),
        "round-robin",
        CHECKED,
        lambda each: told.append((each.address.port, each.is_healthy)),
    )
    (it,) = balancer.upstreams
    for is_good in (False, False, True, False, False):
        if is_good:
            balancer.succeeded(it, is_check=True)
        else:
            balancer.failed(it, 0.0)
    assert it.is_healthy
    balancer.failed(it, 0.0)
    assert not it.is_healthy
    balancer.succeeded(it, is_check=True)
    balancer.failed(it, 0.0)
    balancer.succeeded(it, is_check=True)
    assert not it.is_healthy
    balancer.succeeded(it, is_check=True)

    assert it.is_healthy
    assert told == [(1, False), (1, True)]
    assert repr(it) == "<Upstream h:1 up, 0 connections>"


def test_a_client_does_not_overrule_the_checks() -> None:
    """One connect that went well is not `rise` checks."""
    balancer = Balancer(upstreams(1), "round-robin", CHECKED)
    put_down(balancer, 1)

    balancer.succeeded(balancer.upstreams[0])

    assert not balancer.has_healthy


def test_without_checks_one_client_tries_after_a_while() -> None:
    """If it goes well the upstream is up; if not, the next one tries later."""
    balancer = Balancer(upstreams(2), "round-robin", UNCHECKED)
    down = balancer.upstreams[0]
    put_down(balancer, 1, now=100.0)

    early = {take(balancer, 109.0).address.port for _ in range(4)}
    assert early == {2}
    assert take(balancer, 110.0) is down
    assert {take(balancer, 110.0).address.port for _ in range(4)} == {2}
    balancer.failed(down, 111.0)
    assert take(balancer, 120.0) is not down
    assert take(balancer, 121.0) is down
    balancer.succeeded(down)
    assert down.is_healthy
    assert down.retry_at is None


def test_an_update_keeps_what_is_known() -> None:
    """Who stays keeps health and connections; who is new is up."""
    balancer = Balancer(upstreams(3), "round-robin", UNCHECKED)
    first, second, third = balancer.upstreams
    assert take(balancer) is first
    put_down(balancer, 2)

    new = UpstreamConfig(address=Address("h", 9))
    keep = UpstreamConfig(address=second.address, max_connections=5)
    balancer.update([new, keep], "least-connections", CHECKED)

    assert balancer.upstreams[1] is second
    assert second.config is keep
    assert not second.is_healthy
    assert second.retry_at is None
    assert balancer.upstreams[0].address.port == 9
    assert take(balancer) is balancer.upstreams[0]
    balancer.release(first)
    assert first.active == third.active == 0


def test_what_was_not_picked_cannot_be_released() -> None:
    """It would let in more than the limit."""
    balancer = Balancer(upstreams(1), "round-robin", CHECKED)

    with pytest.raises(AssertionError):
        balancer.release(balancer.upstreams[0])
