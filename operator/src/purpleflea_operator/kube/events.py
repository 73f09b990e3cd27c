"""Kubernetes Event manifests for the Events of both controllers. Pure: the time is an argument."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from purpleflea_contract import kubernetes
from purpleflea_contract.links import reason_url

COMPONENT = kubernetes.MANAGED_BY
_INVOLVED = ("namespace", "name", "uid", "resourceVersion")
MAX_MESSAGE_LENGTH = 1024
"""Longest message that the API server accepts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Content of an Event, usually about the transition of a condition."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    condition: str = ""
    """Type of the condition. Empty if the Event is not about a condition."""


def event_manifest(resource: Mapping[str, Any], event: Event, now: datetime) -> dict[str, Any]:
    """Return the Event manifest for `resource`. Its UID and version are left out if they are not known.

    The name depends on UID, reason, message and second, so the API server rejects a repeated create as a duplicate. The
    message of a Warning ends with the address of its runbook.
    """
    metadata = resource["metadata"]
    timestamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    identity = f"{metadata.get('uid', '')}{event.reason}{event.message}{timestamp}"
    digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": metadata["namespace"], "name": f"{metadata['name']}.{digest}"},
        "involvedObject": {
            "apiVersion": resource.get("apiVersion", kubernetes.API_VERSION),
            "kind": resource["kind"],
            **{key: metadata[key] for key in _INVOLVED if key in metadata},
        },
        "type": event.type,
        "reason": event.reason,
        "message": _message(resource["kind"], event),
        "source": {"component": COMPONENT},
        "reportingComponent": f"{kubernetes.GROUP}/{COMPONENT}",
        "firstTimestamp": timestamp,
        "lastTimestamp": timestamp,
        "count": 1,
    }


def _message(kind: str, event: Event) -> str:
    if event.type == "Normal":
        return event.message[:MAX_MESSAGE_LENGTH]
    reason = event.reason.removeprefix(event.condition)
    end = f"; runbook: {reason_url(kind, event.condition, reason)}"
    return event.message[: MAX_MESSAGE_LENGTH - len(end)] + end
