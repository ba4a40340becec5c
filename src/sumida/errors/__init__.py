"""Every exception that sumida raises, in one tree.

Catch a leaf where you can act on it, `SumidaError` where you only report. An
ordinary outcome (a queue that is full, a channel that ended) is named without
`Error`; a fault of the program is named `...Error`. The tree, as it stands:

    SumidaError
    ├── AlreadyInitialized
    ├── AlreadySent
    ├── Closed
    ├── ConnectError (also a ConnectionError)
    ├── Disconnected (also a ConnectionError)
    ├── Elapsed (also a TimeoutError)
    ├── Empty
    ├── ExitError
    ├── FrameError
    │   ├── FrameTooLargeError
    │   └── InvalidFrameError
    ├── Full
    ├── IncompleteReadError (also an EOFError)
    ├── Lagged
    ├── LimitExceededError
    ├── NoPermits
    ├── OutputLimitError
    ├── SignalError (also a ValueError)
    ├── SpawnError (also an OSError)
    ├── StorageFullError (also an OSError)
    ├── WouldBlock
    ├── AccessError (also a LookupError)
    ├── WorkerDiedError
    ├── WorkerStartError
    └── MisuseError (also a RuntimeError)
        ├── BlockingCallError
        ├── BusyError
        ├── HeldAcrossAwaitError
        ├── ReleasedError
        └── WrongLoopError

Each error keeps its facts as attributes, and survives `pickle` and `copy`.
"""

from sumida.errors.files import (
    StorageFullError,
)
from sumida.errors.misuse import (
    BlockingCallError,
    BusyError,
    HeldAcrossAwaitError,
    MisuseError,
    ReleasedError,
    WrongLoopError,
)
from sumida.errors.process import (
    ExitError,
    OutputLimitError,
    SignalError,
    SpawnError,
)
from sumida.errors.root import (
    SumidaError,
)
from sumida.errors.streams import (
    ConnectError,
    Disconnected,
    FrameError,
    FrameTooLargeError,
    IncompleteReadError,
    InvalidFrameError,
    LimitExceededError,
)
from sumida.errors.waits import (
    AccessError,
    AlreadyInitialized,
    AlreadySent,
    Closed,
    Elapsed,
    Empty,
    Full,
    Lagged,
    NoPermits,
    WorkerDiedError,
    WouldBlock,
)
from sumida.errors.workers import (
    WorkerStartError,
)

__all__ = (
    "AccessError",
    "AlreadyInitialized",
    "AlreadySent",
    "BlockingCallError",
    "BusyError",
    "Closed",
    "ConnectError",
    "Disconnected",
    "Elapsed",
    "Empty",
    "ExitError",
    "FrameError",
    "FrameTooLargeError",
    "Full",
    "HeldAcrossAwaitError",
    "IncompleteReadError",
    "InvalidFrameError",
    "Lagged",
    "LimitExceededError",
    "MisuseError",
    "NoPermits",
    "OutputLimitError",
    "ReleasedError",
    "SignalError",
    "SpawnError",
    "StorageFullError",
    "SumidaError",
    "WorkerDiedError",
    "WorkerStartError",
    "WouldBlock",
    "WrongLoopError",
)
