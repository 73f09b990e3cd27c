"""Keys of one sandbox. They are generated once, readable only by their owner, and never printed."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxKeys:
    """Keys of the paper exchange and of the Datadog stand-in."""

    exchange_key: str
    exchange_admin_token: str
    datadog_key: str


def keys(file: Path) -> SandboxKeys:
    """Return the keys in `file`; generate and write them if the file does not exist."""
    if file.exists():
        return SandboxKeys(**json.loads(file.read_text(encoding="utf-8")))
    generated = SandboxKeys(
        exchange_key=f"pf_paper_{secrets.token_hex(16)}",
        exchange_admin_token=secrets.token_hex(16),
        datadog_key=secrets.token_hex(16),
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:
        json.dump(asdict(generated), stream)
    return generated
