"""The identity `--dev` makes: private, stable, renewed in time, and good for this machine only."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from signaling.server.private import PrivateFileError, make_private_folder, read_private
from signaling.server.throwaway import LIFETIME, throwaway
from signaling.server.tls import TlsPolicy, check_certificate, server_context

NOW = 1_800_000_000.0
DAY = 86400.0


class Entropy:
    def token(self, size: int) -> bytes:
        return os.urandom(size)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_may_read_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = throwaway(tmp_path / "dev", NOW, Entropy())
    finally:
        os.umask(before)
    assert mode(tmp_path / "dev") == 0o700
    files = list((tmp_path / "dev").iterdir())
    assert made.key in files
    assert {mode(path) for path in files} == {0o600}


def test_it_is_kept_until_a_week_before_it_ends(tmp_path: Path) -> None:
    first = throwaway(tmp_path, NOW, Entropy())
    content = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    almost = NOW + LIFETIME.total_seconds() - 8 * DAY
    assert throwaway(tmp_path, almost, Entropy()) == first
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == content
    again = throwaway(tmp_path, almost + 2 * DAY, Entropy())
    assert again.api_key == first.api_key
    assert again.certificate.read_bytes() != content["tls.pem"]


def test_a_broken_certificate_is_made_anew(tmp_path: Path) -> None:
    made = throwaway(tmp_path, NOW, Entropy())
    made.certificate.write_bytes(b"broken")
    throwaway(tmp_path, NOW, Entropy())
    check_certificate(made.certificate, NOW)
    server_context(made.certificate, made.key, TlsPolicy.STRICT)


def test_the_authority_signs_for_this_machine_and_its_key_is_gone(tmp_path: Path) -> None:
    made = throwaway(tmp_path, NOW, Entropy())
    ca = x509.load_pem_x509_certificate(made.ca.read_bytes())
    leaf = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    leaf.verify_directly_issued_by(ca)
    constraints = ca.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert x509.DNSName("localhost") in (constraints.value.permitted_subtrees or ())
    public = leaf.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert public.curve.name == "secp256r1"
    keys = [path for path in tmp_path.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    assert keys == [made.key]


def test_the_secret_is_long_and_never_printed(tmp_path: Path) -> None:
    made = throwaway(tmp_path, NOW, Entropy())
    secret = made.api_secret_file.read_text()
    assert len(secret) == 64
    assert secret not in repr(made)


@pytest.mark.parametrize("bits", [0o710, 0o705, 0o770])
def test_a_folder_others_may_enter_is_refused(tmp_path: Path, bits: int) -> None:
    folder = tmp_path / "dev"
    folder.mkdir()
    folder.chmod(bits)
    with pytest.raises(PrivateFileError, match="chmod 700"):
        make_private_folder(folder)


def test_a_secret_file_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    assert read_private(path) == b""
    path.chmod(0o644)
    with pytest.raises(PrivateFileError, match="chmod 600"):
        read_private(path)
