"""The PROXY protocol's bytes, as its specification has them."""

import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumida.apps.proxy.preamble import SIGNATURE, encode, encode_local

V2 = bytes.fromhex("0d0a0d0a000d0a515549540a")


@pytest.mark.parametrize(
    ("client", "listener", "line"),
    [
        (
            ("192.168.0.1", 56324),
            ("192.168.0.11", 443),
            b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
        ),
        (
            ("255.255.255.255", 65535),
            ("255.255.255.255", 65535),
            b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        ),
        (
            ("2001:db8::1", 1),
            ("2001:db8::2", 2),
            b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n",
        ),
        (
            ("::ffff:10.0.0.1", 5),
            ("::ffff:10.0.0.2", 6),
            b"PROXY TCP4 10.0.0.1 10.0.0.2 5 6\r\n",
        ),
        (
            ("fe80::1%eth0", 5),
            ("fe80::2%eth0", 6),
            b"PROXY TCP6 fe80::1 fe80::2 5 6\r\n",
        ),
        (("unnamed", 0), ("10.0.0.2", 6), b"PROXY UNKNOWN\r\n"),
    ],
)
def test_version_1_is_a_line(
    client: tuple[str, int], listener: tuple[str, int], line: bytes
) -> None:
    """Source, target, ports; at most 107 bytes."""
    assert encode("v1", client, listener) == line
    assert len(line) <= 107


@pytest.mark.parametrize(
    ("client", "listener", "rest"),
    [
        (
            ("192.168.0.1", 56324),
            ("192.168.0.11", 443),
            "21 11 000c c0a80001 c0a8000b dc04 01bb",
        ),
        (
            ("2001:db8::1", 1),
            ("2001:db8::2", 65535),
            (
                "21 21 0024 20010db8000000000000000000000001"
                "20010db8000000000000000000000002 0001 ffff"
            ),
        ),
        (
            ("::ffff:10.0.0.1", 5),
            ("::1", 6),
            (
                "21 21 0024 00000000000000000000ffff0a000001"
                "00000000000000000000000000000001 0005 0006"
            ),
        ),
        (("", 0), ("::1", 6), "20 00 0000"),
    ],
)
def test_version_2_is_binary(
    client: tuple[str, int], listener: tuple[str, int], rest: str
) -> None:
    """Signature, version and command, family, length, addresses, ports."""
    assert encode("v2", client, listener) == V2 + bytes.fromhex(rest)


def test_a_connection_of_the_proxys_own_is_local() -> None:
    """Whoever reads it uses the connection's real addresses."""
    assert encode_local("v1") == b"PROXY UNKNOWN\r\n"
    assert encode_local("v2") == V2 + bytes.fromhex("20 00 0000")
    assert encode_local("off") == encode("off", ("a", 1), ("b", 2)) == b""
    assert SIGNATURE == V2


@given(st.ip_addresses(), st.ip_addresses(), st.integers(0, 65535))
@settings(deadline=None)
def test_version_2_can_be_read_back(source: object, target: object, port: int) -> None:
    """By a reader that knows the specification only."""
    data = encode("v2", (str(source), port), (str(target), 80))

    command, family, length = struct.unpack("!BBH", data[12:16])
    assert command == 0x21
    assert length == len(data) - 16
    size = 4 if family == 0x11 else 16
    kind = socket.AF_INET if family == 0x11 else socket.AF_INET6
    assert len(socket.inet_ntop(kind, data[16 : 16 + size])) > 0
    assert struct.unpack("!HH", data[-4:]) == (port, 80)
