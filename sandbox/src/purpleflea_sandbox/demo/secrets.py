"""Keys of one sandbox: made up once, kept readable by their owner only, never printed."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Keys of the paper exchange and of Datadog's stand-in."""

    exchange_key: str
    exchange_admin_token: str
    datadog_key: str


def keys(file: Path) -> Keys:
    """The keys in `file`; made up and written where there are none."""
    if file.exists():
        return Keys(**json.loads(file.read_text(encoding="utf-8")))
    found = Keys(
        exchange_key=f"pf_paper_{secrets.token_hex(16)}",
        exchange_admin_token=secrets.token_hex(16),
        datadog_key=secrets.token_hex(16),
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:
        json.dump(asdict(found), stream)
    return found
