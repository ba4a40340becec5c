"""Room 3, synchronisation (rules sync-*): locks, permits, notifications, tokens.

For tasks of one event loop; `sumida.sync.threads` has what real threads need.
"""

from sumida.sync.barrier import Barrier, BarrierWaitResult
from sumida.sync.cancellation import CancellationToken, DropGuard
from sumida.sync.mutex import Mutex, MutexGuard
from sumida.sync.notify import Notified, Notify
from sumida.sync.once import OnceCell, SetOnce
from sumida.sync.rwlock import RwLock, RwLockReadGuard, RwLockWriteGuard
from sumida.sync.semaphore import Semaphore, SemaphorePermit

__all__ = (
    "Barrier",
    "BarrierWaitResult",
    "CancellationToken",
    "DropGuard",
    "Mutex",
    "MutexGuard",
    "Notified",
    "Notify",
    "OnceCell",
    "RwLock",
    "RwLockReadGuard",
    "RwLockWriteGuard",
    "Semaphore",
    "SemaphorePermit",
    "SetOnce",
)
