"""Room 2, channels (rules chan-*): how tasks hand things to each other.

`mpsc` for work, `oneshot` for an answer, `broadcast` for news, `watch` for state. Each
is a module, with `channel` to make one.
"""

from sumida.channels import broadcast, mpsc, oneshot, watch

__all__ = ("broadcast", "mpsc", "oneshot", "watch")
