"""Read the configuration and its certificates from disk; to be called off the loop."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from sumida.apps.proxy.config import Config, ConfigError, TlsConfig, parse_text
from sumida.apps.proxy.metrics import check_extra

__all__ = ("Loaded", "load", "prepare")


@final
@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used.

    Attributes:
        config: What it says.
        contexts: For each certificate what serves it.
    """

    config: Config
    contexts: Mapping[TlsConfig, ssl.SSLContext]


def load(path: Path) -> Loaded:
    """Read a file.

    Args:
        path: A TOML file.

    Returns:
        What is in it.

    Raises:
        ConfigError: It cannot be read, or not be used.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "file", str(path), "a file of UTF-8 text that can be read", str(error)
        ) from None
    return prepare(parse_text(text, path.parent))


def prepare(config: Config) -> Loaded:
    """Read what a configuration points to.

    Args:
        config: What was read.

    Returns:
        The configuration with its certificates.

    Raises:
        ConfigError: A certificate cannot be read, does not fit its key, or needs a
            passphrase; or metrics are wanted that cannot be had.
    """
    if config.metrics is not None:
        check_extra(config.metrics)
    contexts: dict[TlsConfig, ssl.SSLContext] = {}
    for number, listener in enumerate(config.listeners, 1):
        if listener.tls is not None and listener.tls not in contexts:
            contexts[listener.tls] = _context(listener.tls, f"listener {number}, tls")
    return Loaded(config, contexts)


def _context(tls: TlsConfig, where: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for key, path in (("certificate", tls.certificate), ("key", tls.key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"{where}, {key}", str(path), "a file that can be read", str(error)
            ) from None
    try:
        # A key with a passphrase would ask the terminal for it.
        context.load_cert_chain(tls.certificate, tls.key, password=_refuse)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(
            f"{where}, certificate",
            str(tls.certificate),
            f"a PEM chain that fits the key {tls.key}, which has no passphrase",
            str(error),
        ) from None
    return context


def _refuse() -> str:
    raise ValueError("the key has a passphrase, which nobody can be asked for")
