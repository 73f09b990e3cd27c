"""Transitions -> Event manifests. Pure: the moment comes as an argument."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from purpleflea_contract import kubernetes

COMPONENT = kubernetes.MANAGED_BY
NOTE_LIMIT = 1024
"""The API server refuses longer messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One turn of a condition."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    condition: str = ""
    """The type of the condition; empty where the news are about none."""


def event_manifest(resource: Mapping[str, Any], event: Event, now: datetime) -> dict[str, Any]:
    """The Event about a turn of `resource`. Its name says what and when, so a repeated post is refused, not doubled."""
    metadata = resource["metadata"]
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = hashlib.sha256(f"{metadata['uid']}{event.reason}{moment}".encode()).hexdigest()[:16]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": metadata["namespace"], "name": f"{metadata['name']}.{digest}"},
        "involvedObject": {
            "apiVersion": kubernetes.API_VERSION,
            "kind": resource["kind"],
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message[:NOTE_LIMIT],
        "source": {"component": COMPONENT},
        "reportingComponent": f"{kubernetes.GROUP}/{COMPONENT}",
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
