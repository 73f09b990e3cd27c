"""A TLS server with a certificate of an authority that only the test trusts."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """Properties of the certificate of a server. The days count from now."""

    host: str = "localhost"
    first_day: int = -1
    last_day: int = 1


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> bytes:
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def write_certificates(folder: Path, wanted: Certificate) -> tuple[Path, Path]:
    """Write an authority and a certificate that it signed. Return the paths of the authority and of the server."""
    now = datetime.now(UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    paths = folder / "authority.pem", folder / "server.pem"
    names = _name("authority"), _name(wanted.host)
    extensions: tuple[x509.ExtensionType, ...] = (
        x509.BasicConstraints(ca=True, path_length=None),
        x509.SubjectAlternativeName([x509.DNSName(wanted.host)]),
    )
    days = (-10, 10), (wanted.first_day, wanted.last_day)
    for path, key, name, extension, (first, last) in zip(
        paths, keys, names, extensions, days, strict=True
    ):
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(names[0])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=first))
            .not_valid_after(now + timedelta(days=last))
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
            .sign(keys[0], hashes.SHA256())
        )
        path.write_bytes(_pem(key, certificate))
    return paths


@contextlib.asynccontextmanager
async def tls_server(certificate: Path, received: bytearray) -> AsyncIterator[int]:
    """Run a server that keeps what it receives after the handshake, and closes. Yield its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.extend(await reader.read(1024))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]
