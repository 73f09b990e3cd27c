"""Keys and certificates of a cluster: one certificate authority (EC P-256) that is created with
every new cluster and is valid for one year.

This module writes files into one folder and does not depend on daemons or kubeconfigs.
"""

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from purpleflea_sandbox.cluster.credentials import Leaf

_LIFE = datetime.timedelta(days=365)
_SKEW = datetime.timedelta(minutes=5)


def issue(folder: Path, leaves: Sequence[Leaf]) -> None:
    """Create an authority, a service account key (`sa.key`, `sa.pub`) and the leaf certificates."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "purpleflea-sandbox")])
    ca = _authority(ca_name, ca_key)
    _write_key(folder / "ca.key", ca_key)
    _write(folder / "ca.crt", ca.public_bytes(serialization.Encoding.PEM))
    account = ec.generate_private_key(ec.SECP256R1())
    _write_key(folder / "sa.key", account)
    _write(folder / "sa.pub", _public_bytes(account))
    for leaf in leaves:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _signed(leaf, key, ca_name, ca_key)
        _write_key(folder / f"{leaf.file}.key", key)
        _write(folder / f"{leaf.file}.crt", certificate.public_bytes(serialization.Encoding.PEM))


def _authority(name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    return (
        _builder(name, name, key)
        .add_extension(constraints, critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )


def _signed(
    leaf: Leaf,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, leaf.user)]
    if leaf.group:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, leaf.group))
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    builder = _builder(x509.Name(attributes), issuer, key).add_extension(
        x509.ExtendedKeyUsage(purposes), critical=False
    )
    if leaf.names:
        names = x509.SubjectAlternativeName([_general_name(name) for name in leaf.names])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _LIFE)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _public_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    _write(
        path,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
