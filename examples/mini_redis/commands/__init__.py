"""The commands, by what they act on; importing this fills the table."""

from . import connection, generic, hashes, lists, messaging, strings, transactions
from .table import COMMANDS, Command, Outcome, execute

__all__ = (
    "COMMANDS",
    "Command",
    "Outcome",
    "connection",
    "execute",
    "generic",
    "hashes",
    "lists",
    "messaging",
    "strings",
    "transactions",
)
