"""All kinds of faults of the paper exchange."""

from typing import Any

KINDS = (
    {"kind": "delay", "ms": 20},
    {"kind": "delay", "ms": 150},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503},
    {"kind": "reset"},
    {"kind": "timeout_after_commit"},
    {"kind": "stale"},
    {"kind": "rate_limit"},
)


def mixed(share: float) -> list[dict[str, Any]]:
    """Return all kinds with equal probability; together they apply to this share of the requests."""
    return [{**kind, "probability": share / len(KINDS)} for kind in KINDS]
