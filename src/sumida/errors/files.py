"""Errors of files."""

import errno
from typing import Self, final

from sumida.errors.root import SumidaError

__all__ = ("StorageFullError",)


@final
class StorageFullError(SumidaError, OSError):
    """The disk is full, or the user's share of it is.

    What was written before stays. `errno` tells which of the two it is.

    Args:
        path: The file.
        code: `errno.ENOSPC`, or `errno.EDQUOT`.

    Attributes:
        path: As above.

    Source:
        `std::io::ErrorKind::StorageFull`, `QuotaExceeded`
    """

    def __init__(self, path: str, code: int = errno.ENOSPC) -> None:
        what = "the disk is full" if code == errno.ENOSPC else "the quota is used up"
        # An OSError takes what it is given for errno, text and file name.
        super().__init__(code, f"{what}; not all was written", path)
        self.path = path

    def __reduce__(self) -> tuple[type[Self], tuple[str, int]]:
        return type(self), (self.path, self.errno or errno.ENOSPC)
