"""Certificates of a made-up authority, for tests of TLS."""

import ssl
from functools import cache

import trustme

__all__ = ("client_context", "mutual_contexts", "server_context")


@cache
def _authority() -> trustme.CA:
    return trustme.CA()


def _new_server(name: str = "localhost") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _authority().issue_cert(name).configure_cert(context)
    return context


def _new_client() -> ssl.SSLContext:
    context = ssl.create_default_context()
    _authority().configure_trust(context)
    return context


@cache
def server_context() -> ssl.SSLContext:
    """Give the context of a server called localhost."""
    return _new_server()


@cache
def client_context() -> ssl.SSLContext:
    """Give the context of a client that trusts the authority."""
    return _new_client()


def mutual_contexts(*, has_certificate: bool) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Give a server that asks for a certificate, and a client that may have one.

    Args:
        has_certificate: Whether the client has one.

    Returns:
        The two contexts; both speak the protocols "h2" and "http/1.1".
    """
    server, client = _new_server(), _new_client()
    server.verify_mode = ssl.CERT_REQUIRED
    _authority().configure_trust(server)
    if has_certificate:
        _authority().issue_cert("somebody").configure_cert(client)
    server.set_alpn_protocols(["h2", "http/1.1"])
    client.set_alpn_protocols(["http/1.1"])
    return server, client
