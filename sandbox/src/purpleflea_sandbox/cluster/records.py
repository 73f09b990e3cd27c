"""What a cluster was asked to be, kept next to its state: lets later commands find its provider
and port. The claim is the first thing `up` writes, the record the last: a state folder without a
record is an unfinished start."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from purpleflea_sandbox.cluster.port import ProviderName

_FILE = "cluster.json"
_OWNER = "provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The facts of one start that cannot be seen from outside."""

    server: str
    audit: bool
    kubectl: str


def save(state: Path, record: Record) -> None:
    unfinished = state / f".{_FILE}.{os.getpid()}"
    unfinished.write_text(json.dumps(asdict(record)))
    unfinished.rename(state / _FILE)


def claim(state: Path, provider: ProviderName) -> None:
    """Note, before anything is started, by which provider the state folder can be cleared."""
    state.mkdir(parents=True, exist_ok=True)
    (state / _OWNER).write_text(provider)


def owner(state: Path) -> ProviderName | None:
    """The provider of a state folder; None when there is none."""
    try:
        text = (state / _OWNER).read_text()
    except OSError:
        return None
    return next((name for name in get_args(ProviderName) if name == text), None)


def load(state: Path) -> Record | None:
    """The record, or None when the cluster was never completely up."""
    try:
        return Record(**json.loads((state / _FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None
