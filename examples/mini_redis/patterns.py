"""Redis' patterns of names: `h?llo`, `h*llo`, `h[ae]llo`, `h[^e]llo`, `h[a-b]llo`."""

import re
from functools import lru_cache
from typing import Final

__all__ = ("compile_pattern",)

_TOKEN: Final = re.compile(rb"\*+|\?|\[(\^?)((?:\\.|[^\]\\])*)\]?|\\?(.)", re.DOTALL)
_MEMBER: Final = re.compile(rb"\\?(.)(?:-\\?(.))?", re.DOTALL)


@lru_cache(maxsize=256)
def compile_pattern(pattern: bytes) -> re.Pattern[bytes]:
    """Make a regular expression of a pattern; use its `fullmatch`.

    Args:
        pattern: As Redis takes it; a backslash takes the meaning off what follows.

    Returns:
        The expression. It needs no more than the product of both lengths in steps,
        whatever the pattern: one client must not hold up all others.
    """
    pieces = [b""]
    for match in _TOKEN.finditer(pattern):
        token = match[0]
        if token.startswith(b"*"):
            pieces.append(b"")
        elif token == b"?":
            pieces[-1] += b"."
        elif match[2] is not None:
            pieces[-1] += _members(match[1], match[2])
        else:
            pieces[-1] += re.escape(match[3])
    first, *others = pieces
    if not others:
        return re.compile(first, re.DOTALL)
    *inner, last = others
    # The first place where a piece fits will do, because another star follows it. So
    # nothing is tried again: an atomic group says so.
    middle = b"".join([b"(?>.*?%b)" % piece for piece in inner])
    return re.compile(b"%b%b.*%b" % (first, middle, last), re.DOTALL)


def _members(inverted: bytes, members: bytes) -> bytes:
    """Translate what stands in brackets."""
    ranges = []
    for match in _MEMBER.finditer(members):
        low, high = sorted([match[1], match[2] or match[1]])
        ranges.append(b"%b-%b" % (re.escape(low), re.escape(high)))
    if not ranges:
        # In nothing is nothing; not in nothing is anything.
        return b"." if inverted else b"(?!)"
    return b"[%b%b]" % (b"^" if inverted else b"", b"".join(ranges))
