"""A number that cannot be meant is refused at the call, by its name and its value.

The numbers that the core rooms take are found by their annotations, so one that is new
has to stand in the table below. What else is misuse is tested in the rooms.
"""

import asyncio
import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import is_dataclass
from types import ModuleType, UnionType
from typing import Any, Final, Union, get_args, get_origin

import pytest

import sumida
from sumida import Interval, channels, program, runtime, sleep, sync, testing, timeout
from sumida.channels import broadcast, mpsc
from sumida.runtime import blocking, cpu
from sumida.runtime.run import LoopRun
from sumida.runtime.timeouts import timeout_at
from sumida.runtime.timers import sleep_until
from sumida.runtime.watchdog import LoopWatchdog
from sumida.sync import Barrier, RwLock, Semaphore
from sumida.sync.threads import AtomicInt, ThreadMutex, ThreadRwLock
from sumida.testing import Script, advance, run_paused, turns
from tests.house.checkers.slots import all_modules

NAN: Final = math.nan


Values = tuple[object, ...]

# What a number must not be, by what it is for; besides other things.
ANY_INT: Final[Values] = (None, "1", 1.5, NAN, True)
COUNT: Final[Values] = (*ANY_INT, -1)
COUNT_FROM_1: Final[Values] = (*COUNT, 0)
MOMENT: Final[Values] = (None, "1", b"1", [], NAN)
SECONDS: Final[Values] = (*MOMENT, -1, -0.5)
SECONDS_ABOVE_0: Final[Values] = (*SECONDS, 0)


_open = ExitStack()
"""What the calls below need; closed after each."""


def _sender() -> mpsc.Sender[object]:
    tx, rx = mpsc.channel(8)
    _open.enter_context(tx)
    _open.callback(rx.close)
    return tx


def _receiver() -> mpsc.Receiver[object]:
    tx, rx = mpsc.channel(8)
    _open.enter_context(tx)
    return rx


def _broadcast(capacity: int) -> None:
    _open.enter_context(broadcast.channel(capacity))


def _mpsc(capacity: int) -> None:
    _open.enter_context(mpsc.channel(capacity)[0])


def _paused(seconds: float) -> None:
    run_paused(advance, seconds)


def _watching(threshold: float | None) -> None:
    sumida.run(asyncio.sleep, 0, watch_blocking=threshold, uvloop=False)


def _loop_run(threshold: float | None) -> None:
    with LoopRun(uvloop=False, debug=None, strict=False, watch_blocking=threshold):
        pass


def _phase(deadline: float) -> None:
    async def main() -> None:
        sumida.shutdown_phase("drain", print, deadline=deadline)

    sumida.run(main)


def _upgrade(timeout: float | None) -> None:
    guard = ThreadRwLock(1).upgradable_read()
    _open.callback(guard.release)
    guard.upgrade(timeout)


def _permit_split(permits: int) -> None:
    permit = Semaphore(4).try_acquire(3)
    _open.callback(permit.release)
    permit.split(permits)


Call = Callable[[Any], object]

WITHOUT_A_LOOP: Final[dict[str, tuple[Values, Call]]] = {
    "program.run(force_after)": (
        SECONDS,
        lambda it: sumida.run(asyncio.sleep, 0, force_after=it),
    ),
    "program.run(grace)": (SECONDS, lambda it: sumida.run(asyncio.sleep, 0, grace=it)),
    "program.run(watch_blocking)": (SECONDS_ABOVE_0, _watching),
    "program.shutdown_phase(deadline)": (SECONDS_ABOVE_0, _phase),
    "runtime.blocking.BlockingPool.blocking_shutdown(deadline)": (
        SECONDS,
        lambda it: blocking.BlockingPool(1).blocking_shutdown(it),
    ),
    "runtime.cpu.CpuPool.blocking_shutdown(deadline)": (
        SECONDS,
        lambda it: cpu.CpuPool(1).blocking_shutdown(it),
    ),
    "runtime.run.LoopRun(watch_blocking)": (SECONDS_ABOVE_0, _loop_run),
    "sync.semaphore.Semaphore.blocking_acquire(permits)": (
        COUNT,
        lambda it: Semaphore(1).blocking_acquire(it),
    ),
    "sync.threads.rwguards.ThreadUpgradableGuard.upgrade(timeout)": (SECONDS, _upgrade),
    "testing.clock.advance(seconds)": (SECONDS, _paused),
}

ON_A_LOOP: Final[dict[str, tuple[Values, Call]]] = {
    "channels.broadcast.channel(capacity)": (COUNT_FROM_1, _broadcast),
    "channels.mpsc.channel(capacity)": (COUNT_FROM_1, _mpsc),
    "channels.mpsc.receiver.Receiver.recv_many(limit)": (
        COUNT,
        lambda it: _receiver().recv_many(it),
    ),
    "channels.mpsc.sender.Sender.reserve_many(places)": (
        COUNT,
        lambda it: _sender().reserve_many(it),
    ),
    "channels.mpsc.sender.Sender.try_reserve_many(places)": (
        COUNT,
        lambda it: _sender().try_reserve_many(it).release(),
    ),
    "runtime.blocking.BlockingPool(keep_alive)": (
        SECONDS,
        lambda it: blocking.BlockingPool(1, keep_alive=it),
    ),
    "runtime.blocking.BlockingPool(max_threads)": (COUNT_FROM_1, blocking.BlockingPool),
    "runtime.blocking.BlockingPool.drain(deadline)": (
        SECONDS,
        lambda it: blocking.BlockingPool(1).drain(it),
    ),
    "runtime.blocking.BlockingPool.shutdown(deadline)": (
        SECONDS,
        lambda it: blocking.BlockingPool(1).shutdown(it),
    ),
    "runtime.blocking.shutdown_blocking(deadline)": (
        SECONDS,
        blocking.shutdown_blocking,
    ),
    "runtime.cpu.CpuPool(max_workers)": (COUNT_FROM_1, cpu.CpuPool),
    "runtime.cpu.CpuPool.drain(deadline)": (
        SECONDS,
        lambda it: cpu.CpuPool(1).drain(it),
    ),
    "runtime.cpu.CpuPool.shutdown(deadline)": (
        SECONDS,
        lambda it: cpu.CpuPool(1).shutdown(it),
    ),
    "runtime.cpu.shutdown_cpu(deadline)": (SECONDS, cpu.shutdown_cpu),
    "runtime.interval.Interval(period)": (SECONDS_ABOVE_0, Interval),
    "runtime.interval.Interval(start)": (MOMENT, lambda it: Interval(1, start=it)),
    "runtime.interval.Interval.reset_after(seconds)": (
        SECONDS,
        lambda it: Interval(1).reset_after(it),
    ),
    "runtime.interval.Interval.reset_at(deadline)": (
        MOMENT,
        lambda it: Interval(1).reset_at(it),
    ),
    "runtime.timeouts.Timeout.reschedule(deadline)": (
        MOMENT,
        lambda it: timeout(1).reschedule(it),
    ),
    "runtime.timeouts.timeout(seconds)": (SECONDS, timeout),
    "runtime.timeouts.timeout_at(deadline)": (MOMENT, timeout_at),
    "runtime.timers.Sleep.reset(deadline)": (MOMENT, lambda it: sleep(1).reset(it)),
    "runtime.timers.sleep(seconds)": (SECONDS, sleep),
    "runtime.timers.sleep_until(deadline)": (MOMENT, sleep_until),
    "runtime.watchdog.LoopWatchdog(threshold)": (
        SECONDS_ABOVE_0,
        lambda it: LoopWatchdog(asyncio.get_running_loop(), it),
    ),
    "sync.barrier.Barrier(size)": (COUNT, Barrier),
    "sync.rwlock.RwLock(max_readers)": (
        COUNT_FROM_1,
        lambda it: RwLock(None, max_readers=it),
    ),
    "sync.semaphore.Semaphore(permits)": (COUNT, Semaphore),
    "sync.semaphore.Semaphore.acquire(permits)": (
        COUNT,
        lambda it: Semaphore(1).acquire(it),
    ),
    "sync.semaphore.Semaphore.add_permits(permits)": (
        COUNT,
        lambda it: Semaphore(1).add_permits(it),
    ),
    "sync.semaphore.Semaphore.forget_permits(permits)": (
        COUNT,
        lambda it: Semaphore(1).forget_permits(it),
    ),
    "sync.semaphore.Semaphore.try_acquire(permits)": (
        COUNT,
        lambda it: Semaphore(1).try_acquire(it),
    ),
    "sync.semaphore.SemaphorePermit.split(permits)": (COUNT, _permit_split),
    "sync.threads.atomics.AtomicInt(value)": (ANY_INT, AtomicInt),
    "sync.threads.atomics.AtomicInt.add(n)": (ANY_INT, lambda it: AtomicInt().add(it)),
    "sync.threads.atomics.AtomicInt.compare_exchange(expected)": (
        ANY_INT,
        lambda it: AtomicInt().compare_exchange(it, 1),
    ),
    "sync.threads.atomics.AtomicInt.compare_exchange(new)": (
        ANY_INT,
        lambda it: AtomicInt().compare_exchange(0, it),
    ),
    "sync.threads.atomics.AtomicInt.fetch_max(n)": (
        ANY_INT,
        lambda it: AtomicInt().fetch_max(it),
    ),
    "sync.threads.atomics.AtomicInt.fetch_min(n)": (
        ANY_INT,
        lambda it: AtomicInt().fetch_min(it),
    ),
    "sync.threads.atomics.AtomicInt.store(value)": (
        ANY_INT,
        lambda it: AtomicInt().store(it),
    ),
    "sync.threads.atomics.AtomicInt.sub(n)": (ANY_INT, lambda it: AtomicInt().sub(it)),
    "sync.threads.atomics.AtomicInt.swap(value)": (
        ANY_INT,
        lambda it: AtomicInt().swap(it),
    ),
    "sync.threads.mutex.ThreadMutex.lock(timeout)": (SECONDS, ThreadMutex(1).lock),
    "sync.threads.rwlock.ThreadRwLock.read(timeout)": (SECONDS, ThreadRwLock(1).read),
    "sync.threads.rwlock.ThreadRwLock.upgradable_read(timeout)": (
        SECONDS,
        ThreadRwLock(1).upgradable_read,
    ),
    "sync.threads.rwlock.ThreadRwLock.write(timeout)": (SECONDS, ThreadRwLock(1).write),
    "testing.drive.turns(count)": (COUNT, turns),
    "testing.streams.Script(split)": (COUNT_FROM_1, Script),
    "testing.streams.Script.wait(seconds)": (SECONDS, lambda it: Script().wait(it)),
}

TABLE: Final = {**WITHOUT_A_LOOP, **ON_A_LOOP}

NOT_CHECKED: Final = {
    "give_back": "a queue calls it, see `QueuedOperation`",
    "be_silent_until": "a reader calls it",
    "PausedLoop": "a loop calls itself",
    "ScriptReader": "it takes what asyncio's own reader takes",
}
"""Methods and classes whose numbers are no matter of users, and why."""


def _numbers(call: Callable[..., object]) -> Iterator[str]:
    """Name the parameters that take a number, and no bool."""
    for name, parameter in inspect.signature(call).parameters.items():
        taken: tuple[object, ...] = (parameter.annotation,)
        if get_origin(parameter.annotation) in (Union, UnionType):
            taken = get_args(parameter.annotation)
        if int in taken or float in taken:
            yield name


def _calls(module: ModuleType) -> Iterator[tuple[str, Callable[..., object]]]:
    """Give the public functions, constructors and methods that a module defines."""
    path = module.__name__.removeprefix("sumida.")
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        if getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(value):
            yield f"{path}.{name}", value
        if not inspect.isclass(value):
            continue
        # What the library makes is made right.
        is_made = is_dataclass(value) or "made by" in (value.__doc__ or "").lower()
        if name in NOT_CHECKED:
            continue
        if not is_made:
            yield f"{path}.{name}", value
        for each, method in vars(value).items():
            is_hidden = each.startswith("_") or each in NOT_CHECKED
            if inspect.isfunction(method) and not is_hidden:
                yield f"{path}.{name}.{each}", method


def test_each_number_that_is_taken_is_tried() -> None:
    """The table has what the annotations say, no more and no less."""
    modules = [program]
    for room in (channels, runtime, sync, testing):
        modules += all_modules(room)
    public = [each for each in modules if "._" not in each.__name__]

    found = {
        f"{path}({name})"
        for module in public
        for path, call in _calls(module)
        for name in _numbers(call)
    }

    assert found == TABLE.keys()


TAKES_NONE: Final = {
    "program.run(force_after)",
    "program.run(watch_blocking)",
    "runtime.cpu.CpuPool(max_workers)",
    "runtime.interval.Interval(start)",
    "runtime.run.LoopRun(watch_blocking)",
    "runtime.timeouts.Timeout.reschedule(deadline)",
    "runtime.timeouts.timeout(seconds)",
    "runtime.timeouts.timeout_at(deadline)",
    "sync.threads.mutex.ThreadMutex.lock(timeout)",
    "sync.threads.rwguards.ThreadUpgradableGuard.upgrade(timeout)",
    "sync.threads.rwlock.ThreadRwLock.read(timeout)",
    "sync.threads.rwlock.ThreadRwLock.upgradable_read(timeout)",
    "sync.threads.rwlock.ThreadRwLock.write(timeout)",
    "testing.streams.Script(split)",
}
"""Where None says that there is no limit."""


def _say_no(key: str, value: object) -> str:
    """Make the call, on a loop or not, and give the text of the refusal."""
    _, call = TABLE[key]

    async def on_a_loop() -> None:
        result = call(value)
        if inspect.iscoroutine(result):
            await result

    with _open, pytest.raises((TypeError, ValueError)) as caught:
        if key in ON_A_LOOP:
            asyncio.run(on_a_loop())
        else:
            call(value)
    return str(caught.value)


@pytest.mark.parametrize("key", TABLE)
def test_what_cannot_be_meant_is_refused(key: str) -> None:
    """By an error at the call, which has the argument's name and its value."""
    name = key.rpartition("(")[2].rstrip(")")
    for value in TABLE[key][0]:
        if value is not None or key not in TAKES_NONE:
            text = _say_no(key, value)

            assert name in text
            assert str(value) in text
