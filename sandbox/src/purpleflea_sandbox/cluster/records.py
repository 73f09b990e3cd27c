"""Facts about a cluster stored beside its state, so that later commands can determine its provider
and port.

`up` writes the provider file first and the record last. A state folder without a record is
therefore an unfinished start.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from purpleflea_sandbox.cluster.port import ProviderName

_FILE = "cluster.json"
_OWNER = "provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRecord:
    """Facts of one start that cannot be observed from outside."""

    server: str
    audit: bool
    kubectl: str


def save(state: Path, record: ClusterRecord) -> None:
    unfinished = state / f".{_FILE}.{os.getpid()}"
    unfinished.write_text(json.dumps(asdict(record)))
    unfinished.rename(state / _FILE)


def record_provider(state: Path, provider: ProviderName) -> None:
    """Record, before anything is started, which provider can clean up the state folder."""
    state.mkdir(parents=True, exist_ok=True)
    (state / _OWNER).write_text(provider)


def provider_of(state: Path) -> ProviderName | None:
    """Return the provider of a state folder, or None if there is none."""
    try:
        text = (state / _OWNER).read_text()
    except OSError:
        return None
    return next((name for name in get_args(ProviderName) if name == text), None)


def load(state: Path) -> ClusterRecord | None:
    """Return the record, or None if the cluster was never completely started."""
    try:
        return ClusterRecord(**json.loads((state / _FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None
