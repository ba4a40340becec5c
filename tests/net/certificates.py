"""Certificates of a made-up authority, for tests of TLS."""

import ssl
from functools import cache

import trustme

__all__ = ("client_context", "server_context")


@cache
def _authority() -> trustme.CA:
    return trustme.CA()


@cache
def server_context() -> ssl.SSLContext:
    """Give the context of a server called localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _authority().issue_cert("localhost").configure_cert(context)
    return context


@cache
def client_context() -> ssl.SSLContext:
    """Give the context of a client that trusts the authority."""
    context = ssl.create_default_context()
    _authority().configure_trust(context)
    return context
