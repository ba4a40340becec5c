"""Files that are read with the configuration, and what is wrong with them."""

import sys
from pathlib import Path

import pytest
import trustme

from sumida.apps.proxy.config import ConfigError
from sumida.apps.proxy.loading import load

TEXT = '[[listener]]\nlisten = ":0"\nupstreams = ["a:1"]\n'
TLS = TEXT + 'tls = { certificate = "web.pem", key = "web.key" }\n'


def write(folder: Path, text: str) -> Path:
    """Write the configuration."""
    path = folder / "proxy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def issue(folder: Path, name: str = "web") -> None:
    """Write a certificate and its key."""
    issued = trustme.CA().issue_cert("localhost")
    issued.private_key_pem.write_to_path(str(folder / f"{name}.key"))
    (folder / f"{name}.pem").write_bytes(issued.cert_chain_pems[0].bytes())


def test_certificates_are_found_beside_the_file(tmp_path: Path) -> None:
    """And are ready for the listener."""
    issue(tmp_path)

    loaded = load(write(tmp_path, TLS))

    (listener,) = loaded.config.listeners
    assert listener.tls is not None
    assert listener.tls in loaded.contexts


@pytest.mark.parametrize(
    ("spoil", "key"),
    [
        (lambda folder: (folder / "web.pem").unlink(), "tls, certificate"),
        (lambda folder: (folder / "web.key").unlink(), "tls, key"),
        (lambda folder: (folder / "web.pem").write_text("x"), "tls, certificate"),
        (lambda folder: (folder / "web.key").write_text("x"), "tls, certificate"),
        (lambda folder: issue(folder, "other") or swap(folder), "tls, certificate"),
    ],
    ids=["no certificate", "no key", "no PEM", "no PEM key", "another's key"],
)
def test_a_bad_certificate_is_told(tmp_path: Path, spoil: "object", key: str) -> None:
    """Before anything was changed."""
    issue(tmp_path)
    assert callable(spoil)
    spoil(tmp_path)

    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, TLS))

    assert caught.value.key == f"listener 1, {key}"
    assert "web." in str(caught.value)


def swap(folder: Path) -> None:
    """Put another key in the place of the right one."""
    (folder / "other.key").replace(folder / "web.key")


@pytest.mark.parametrize("data", [None, b"\xff\xfe"], ids=["absent", "no text"])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, data: bytes | None) -> None:
    """By its path."""
    path = tmp_path / "proxy.toml"
    if data is not None:
        path.write_bytes(data)

    with pytest.raises(ConfigError, match=r"proxy\.toml"):
        load(path)


def test_metrics_without_the_extra_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that installs it."""
    path = write(tmp_path, '[proxy]\nmetrics = ":0"\n' + TEXT)
    assert load(path).config.metrics is not None
    for name in [each for each in sys.modules if each.startswith("prometheus_client")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})

    with pytest.raises(ConfigError, match=r"pip install 'sumida\[metrics\]'"):
        load(path)
