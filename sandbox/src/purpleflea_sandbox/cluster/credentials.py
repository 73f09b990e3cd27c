"""Who a certificate speaks for, and where it, its key and the authority lie. Only names things:
issuing is `certificates`. Light, because it is imported inside the node."""

from dataclasses import dataclass
from pathlib import Path

ADMINS = "system:masters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate and its key, with the authority that signed it."""

    authority: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One certificate: the file name, who it speaks for, and the names it may serve under."""

    file: str
    user: str
    group: str | None = None
    names: tuple[str, ...] = ()


def pair(folder: Path, file: str) -> Pair:
    """The files of one leaf in the folder of a cluster's keys."""
    return Pair(
        authority=folder / "ca.crt",
        certificate=folder / f"{file}.crt",
        key=folder / f"{file}.key",
    )
