"""The PROXY protocol: tell a server who its client is, before the client's own bytes.

Pure. Version 1 is a line of text, version 2 is binary.
"""

import ipaddress
import struct
from typing import Final, TypeAlias

__all__ = ("SIGNATURE", "encode", "encode_local")

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
"""What version 2 begins with: no other protocol does."""

_VERSION: Final = 0x20
_PROXIED: Final = 0x01
_LOCAL: Final = 0x00
_TCP4: Final = 0x11
_TCP6: Final = 0x21
_UNSPECIFIED: Final = 0x00

_Ip: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


def encode(version: str, client: tuple[str, int], listener: tuple[str, int]) -> bytes:
    """Make the header for a client's connection.

    Args:
        version: "v1", "v2", or "off" for none.
        client: The client's address and port.
        listener: The address and port that the client connected to.

    Returns:
        What to send first.

    Source:
        https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt, 2.1 and 2.2
    """
    if version == "off":
        return b""
    known = _same_family(client[0], listener[0])
    if known is None:
        return encode_local(version)
    source, target = known
    is_4 = isinstance(source, ipaddress.IPv4Address)
    if version == "v1":
        family = "TCP4" if is_4 else "TCP6"
        line = f"PROXY {family} {source} {target} {client[1]} {listener[1]}\r\n"
        return line.encode("ascii")
    body = source.packed + target.packed + struct.pack("!HH", client[1], listener[1])
    family_byte = _TCP4 if is_4 else _TCP6
    return _header(_PROXIED, family_byte, body)


def encode_local(version: str) -> bytes:
    """Make the header for a connection of the proxy's own, such as a check.

    Args:
        version: As in `encode`.

    Returns:
        What to send first.
    """
    if version == "off":
        return b""
    if version == "v1":
        return b"PROXY UNKNOWN\r\n"
    return _header(_LOCAL, _UNSPECIFIED, b"")


def _header(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", _VERSION | command, family, len(body)) + body


def _same_family(one: str, other: str) -> tuple[_Ip, _Ip] | None:
    """Read both; an IPv4 client of a listener for both families is IPv4 again."""
    try:
        source, target = _read(one), _read(other)
    except ValueError:
        return None
    if source.version == target.version:
        return source, target
    return _as_6(source), _as_6(target)


def _read(text: str) -> _Ip:
    # Without the zone of a link-local address, which means nothing to others.
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def _as_6(address: _Ip) -> ipaddress.IPv6Address:
    if isinstance(address, ipaddress.IPv6Address):
        return address
    return ipaddress.IPv6Address(f"::ffff:{address}")
