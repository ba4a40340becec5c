"""Read a TOML table key by key, and say exactly what is wrong with it."""

import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, final

__all__ = ("Address", "ConfigError", "Table")

_LAST_PORT: Final = 65535


@final
class ConfigError(ValueError):
    """The configuration cannot be used.

    Args:
        key: Where: "listener 1, retries".
        value: What stands there.
        limit: What may stand there.
        way_out: What to do.

    Attributes:
        key: As above.
        value: As above.
        limit: As above.
        way_out: As above.
    """

    def __init__(self, key: str, value: object, limit: str, way_out: str) -> None:
        super().__init__(key, value, limit, way_out)
        self.key = key
        self.value = value
        self.limit = limit
        self.way_out = way_out

    def __str__(self) -> str:
        return f"{self.key} = {_show(self.value)}: must be {self.limit}; {self.way_out}"


def _show(value: object) -> str:
    """Write a value as TOML would, shortly."""
    if isinstance(value, bool):
        return str(value).lower()
    text = f'"{value}"' if isinstance(value, str) else str(value)
    # Both ends: what tells one path from another is the last of it.
    return text if len(text) <= 80 else f"{text[:38]}...{text[-39:]}"  # noqa: PLR2004  # a line


@final
@dataclass(frozen=True, slots=True, order=True)
class Address:
    """Host and port.

    Attributes:
        host: A name or an address; "" for all of this machine.
        port: 0 to 65535.
    """

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read "host:port", "[::1]:port" or ":port".

        Args:
            text: As above.

        Returns:
            The address.

        Raises:
            ValueError: It is something else.
        """
        host, colon, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError("an IPv6 address stands in brackets")
        if any(letter.isspace() or letter in "[]/" for letter in host):
            raise ValueError("a host has no blanks, brackets or slashes")
        is_number = port.isascii() and port.isdigit() and len(port) <= 5  # noqa: PLR2004  # digits of 65535
        if not colon or not is_number or int(port) > _LAST_PORT:
            raise ValueError("a port is a number from 0 to 65535")
        return cls(host, int(port))


@final
class Table:
    """One table of the file; each key is asked for once, and what is left is wrong.

    Args:
        data: What was read.
        where: How to call it in messages: "listener 1".
    """

    __slots__ = ("_data", "_known", "_where")

    def __init__(self, data: object, where: str) -> None:
        if not isinstance(data, Mapping):
            raise ConfigError(
                where, data, "a table", "write the keys below it, as in docs/proxy.md"
            )
        self._data: Mapping[str, object] = data
        self._where = where
        self._known: list[str] = []

    def error(
        self, key: str, limit: str, way_out: str, value: object = None
    ) -> ConfigError:
        """Make the error for a key.

        Args:
            key: Of this table.
            limit: As in `ConfigError`.
            way_out: As in `ConfigError`.
            value: What stands there, if it is not what was read.

        Returns:
            The error, to be raised.
        """
        shown = self._data.get(key, "") if value is None else value
        return ConfigError(self.path(key), shown, limit, way_out)

    def path(self, key: str) -> str:
        """Name a key for messages.

        Args:
            key: Of this table.

        Returns:
            "listener 1, key".
        """
        return f"{self._where}, {key}" if self._where else key

    def _take(self, key: str) -> object:
        self._known.append(key)
        return self._data.get(key)

    def integer(self, key: str, default: int | None, low: int, high: int) -> int:
        """Read a whole number.

        Args:
            key: Of this table.
            default: What is meant when it is left out; None if it may not be.
            low: The least.
            high: The most.

        Returns:
            The number.

        Raises:
            ConfigError: It is something else.
        """
        value = self._take(key)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(
                key, f"a whole number from {low} to {high}", self._leave_out(default)
            )
        if not low <= value <= high:
            raise self.error(
                key, f"a whole number from {low} to {high}", self._leave_out(default)
            )
        return value

    def seconds(
        self, key: str, default: float, high: float, *, is_zero_never: bool = False
    ) -> float:
        """Read a time.

        Args:
            key: Of this table.
            default: What is meant when it is left out, in seconds.
            high: The most, in seconds.
            is_zero_never: Whether 0 may stand there, for never.

        Returns:
            Seconds; 0 for never.

        Raises:
            ConfigError: It is something else.
        """
        value = self._take(key)
        if value is None:
            return default
        limit = f"more than 0 and at most {high:g} seconds"
        if is_zero_never:
            limit = f"0 (never) to {high:g} seconds"
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number:
            raise self.error(key, limit, self._leave_out(default))
        number = float(value)  # type: ignore[arg-type]  # a number, see above
        if math.isnan(number) or number > high or number < 0:
            raise self.error(key, limit, self._leave_out(default))
        if number == 0 and not is_zero_never:
            raise self.error(key, limit, self._leave_out(default))
        return number

    def choice(self, key: str, default: str, choices: tuple[str, ...]) -> str:
        """Read one of several words.

        Args:
            key: Of this table.
            default: What is meant when it is left out.
            choices: What may stand there.

        Returns:
            The word.

        Raises:
            ConfigError: It is another one.
        """
        value = self._take(key)
        if value is None:
            return default
        if not isinstance(value, str) or value not in choices:
            words = " or ".join(f'"{word}"' for word in choices)
            raise self.error(key, words, self._leave_out(default))
        return value

    def text(self, key: str, default: str | None, limit: str) -> str:
        """Read a text that is not empty.

        Args:
            key: Of this table.
            default: What is meant when it is left out; None if it may not be.
            limit: What it is, for messages.

        Returns:
            The text.

        Raises:
            ConfigError: It is something else.
        """
        value = self._take(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value or not value.isprintable():
            raise self.error(key, limit, self._leave_out(default))
        return value

    def address(self, key: str, *, can_be_zero: bool = True) -> Address:
        """Read an address.

        Args:
            key: Of this table.
            can_be_zero: Whether the port may be 0, and the host empty: to listen.

        Returns:
            The address.

        Raises:
            ConfigError: It is something else.
        """
        return self.parse_address(key, self._take(key), can_be_zero=can_be_zero)

    def parse_address(self, key: str, value: object, *, can_be_zero: bool) -> Address:
        """Read an address that stands in a list.

        Args:
            key: Of this table.
            value: What stands there.
            can_be_zero: As in `address`.

        Returns:
            The address.

        Raises:
            ConfigError: It is something else.
        """
        limit = '"host:port" with a port from 1 to 65535'
        if can_be_zero:
            limit = '"host:port" or ":port" with a port from 0 to 65535'
        way_out = 'write it like "127.0.0.1:8080" or "[::1]:8080"'
        shown = "" if value is None else value
        if not isinstance(value, str):
            raise self.error(key, limit, way_out, shown)
        try:
            address = Address.parse(value)
        except ValueError as error:
            raise self.error(key, limit, f"{error}; {way_out}", shown) from None
        if not can_be_zero and not (address.port and address.host):
            raise self.error(key, limit, way_out, shown)
        return address

    def tables(self, key: str) -> list[object] | None:
        """Read a list.

        Args:
            key: Of this table.

        Returns:
            Its items; None if it is left out.

        Raises:
            ConfigError: It is no list, or an empty one.
        """
        value = self._take(key)
        if value is None:
            return None
        if not isinstance(value, list) or not value:
            raise self.error(key, "a list of one or more", "add one, or leave it out")
        return value

    def has(self, key: str) -> bool:
        """Tell whether a key is there; it counts as asked for.

        Args:
            key: Of this table.

        Returns:
            Whether it is.
        """
        return self._take(key) is not None

    def table(self, key: str) -> "Table":
        """Read a table within this one; an empty one if it is left out.

        Args:
            key: Of this table.

        Returns:
            The table.

        Raises:
            ConfigError: It is no table.
        """
        value = self._take(key)
        return Table({} if value is None else value, self.path(key))

    def finish(self) -> None:
        """Refuse what nobody asked for.

        Raises:
            ConfigError: There is a key that is not known.
        """
        for key in self._unknown():
            known = ", ".join(sorted(set(self._known)))
            near = difflib.get_close_matches(key, self._known, n=1)
            way_out = f'write "{near[0]}"' if near else "remove it"
            raise self.error(key, f"one of the known keys ({known})", way_out)

    def _unknown(self) -> Iterator[str]:
        return (key for key in self._data if key not in self._known)

    @staticmethod
    def _leave_out(default: object) -> str:
        if default is None:
            return "it may not be left out"
        shown = _show(f"{default:g}" if isinstance(default, float) else default)
        return f"leave it out for {shown.strip(chr(34))}"
