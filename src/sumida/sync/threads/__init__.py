"""Counters, flags and locks for real threads.

For what threads share: `AtomicInt` and `AtomicFlag` for a number or a bit,
`ThreadMutex` for a value that one thread at a time may use, `ThreadRwLock` where
most only read. Between tasks of one loop use `sumida.sync.Mutex` and its kin: a
lock of this module blocks its whole thread while it waits, and refuses to be held
across an `await`. Between a thread and a loop prefer a channel.
"""

from sumida.sync.threads.atomics import AtomicFlag, AtomicInt
from sumida.sync.threads.mutex import ThreadMutex, ThreadMutexGuard
from sumida.sync.threads.rwguards import (
    ThreadReadGuard,
    ThreadUpgradableGuard,
    ThreadWriteGuard,
)
from sumida.sync.threads.rwlock import ThreadRwLock

__all__ = (
    "AtomicFlag",
    "AtomicInt",
    "ThreadMutex",
    "ThreadMutexGuard",
    "ThreadReadGuard",
    "ThreadRwLock",
    "ThreadUpgradableGuard",
    "ThreadWriteGuard",
)
