"""Names of certificates: the user of each certificate and the paths of the certificate, its key and
the authority.

`certificates` issues them. This module has few imports, because it is imported inside the node.
"""

from dataclasses import dataclass
from pathlib import Path

ADMINS = "system:masters"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A certificate and its key, with the authority that signed it."""

    authority: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One leaf certificate: file name, user and group it authenticates, and server names it is
    valid for.
    """

    file: str
    user: str
    group: str | None = None
    names: tuple[str, ...] = ()


def pair(folder: Path, file: str) -> KeyPair:
    """Return the files of one leaf certificate in the key folder of a cluster."""
    return KeyPair(
        authority=folder / "ca.crt",
        certificate=folder / f"{file}.crt",
        key=folder / f"{file}.key",
    )
