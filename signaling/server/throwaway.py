"""What `--dev` makes for itself: a throw-away certificate authority, a leaf, and an API key.

The authority's private key signs once and is then forgotten, so whoever trusts `ca.pem` trusts
this one leaf and nothing that could be made later; name constraints (RFC 5280 4.2.1.10) hold it
to this machine besides.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from signaling.ports import Entropy
from signaling.server.private import (
    PrivateFileError,
    make_private_folder,
    read_file,
    read_private,
    write_private,
)

LIFETIME: Final = datetime.timedelta(days=365)  # browsers refuse leaves of more than 398 days
RENEW_BEFORE: Final = datetime.timedelta(days=7)

_NAMES: Final = ("localhost",)
_ADDRESSES: Final = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Throwaway:
    """Where the development identity lies, and its API key. Printing it shows no secret."""

    ca: Path
    certificate: Path
    key: Path
    api_key: str
    api_secret_file: Path


def throwaway(folder: Path, now: float, entropy: Entropy) -> Throwaway:
    """The development identity kept in `folder`, made anew where missing or nearly expired.

    `now` is Unix time. Raises PrivateFileError.
    """
    make_private_folder(folder)
    ca, certificate, key = (folder / name for name in ("ca.pem", "tls.pem", "tls.key"))
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    if not _usable(ca, certificate, key, moment):
        _make_certificates(ca, certificate, key, moment)
    name_file, secret_file = folder / "api-key.json", folder / "api-secret"
    api_key = _api_key(name_file, secret_file, entropy)
    return Throwaway(ca, certificate, key, api_key, secret_file)


def _usable(ca: Path, certificate: Path, key: Path, moment: datetime.datetime) -> bool:
    if not (ca.exists() and certificate.exists() and key.exists()):
        return False
    try:
        leaf = x509.load_pem_x509_certificates(read_file(certificate))[0]
        private = serialization.load_pem_private_key(read_private(key), password=None)
    except ValueError:
        return False
    same_key = leaf.public_key() == private.public_key()
    in_time = leaf.not_valid_before_utc <= moment < leaf.not_valid_after_utc - RENEW_BEFORE
    return same_key and in_time


def _make_certificates(ca: Path, certificate: Path, key: Path, moment: datetime.datetime) -> None:
    authority_key = ec.generate_private_key(ec.SECP256R1())
    leaf_key = ec.generate_private_key(ec.SECP256R1())
    authority = _authority(authority_key, moment)
    leaf = _leaf(authority, authority_key, leaf_key.public_key(), moment)
    pem = serialization.Encoding.PEM
    private = leaf_key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(key, private)
    write_private(certificate, leaf.public_bytes(pem))
    write_private(ca, authority.public_bytes(pem))


def _authority(key: ec.EllipticCurvePrivateKey, moment: datetime.datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Conclave throw-away authority")])
    permitted: list[x509.GeneralName] = [x509.DNSName(dns) for dns in _NAMES]
    permitted += [x509.IPAddress(ipaddress.ip_network(address)) for address in _ADDRESSES]
    return (
        _draft(name, name, key.public_key(), moment)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    public: ec.EllipticCurvePublicKey,
    moment: datetime.datetime,
) -> x509.Certificate:
    names: list[x509.GeneralName] = [x509.DNSName(dns) for dns in _NAMES]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in _ADDRESSES]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return (
        _draft(subject, authority.subject, public, moment)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(issuer_id, critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _draft(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    moment: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - datetime.timedelta(hours=1))  # clocks of virtual machines lag
        .not_valid_after(moment + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _api_key(name_file: Path, secret_file: Path, entropy: Entropy) -> str:
    if name_file.exists() and secret_file.exists():
        try:
            read_private(secret_file)
            name = json.loads(read_private(name_file))
        except ValueError as error:
            raise PrivateFileError(f"{name_file} is not JSON", "delete it") from error
        if isinstance(name, str) and name:
            return name
    name = f"API{entropy.token(6).hex()}"
    write_private(secret_file, entropy.token(32).hex().encode())
    write_private(name_file, json.dumps(name).encode())
    return name
