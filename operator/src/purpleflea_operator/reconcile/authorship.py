"""Who set the trading mode, when and why: from the resource and from what its status already says. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_contract.control import Mode
from purpleflea_operator.model.parsing import moment
from purpleflea_operator.reconcile.world import Trading

WHY_LIMIT = 253


def trading_of(resource: Mapping[str, Any], mode: Mode | None, now: datetime) -> Trading:
    """What is known about the mode that is wanted.

    Once it is in the status it stays: the time of a field manager's entry moves with all that this manager writes.
    """
    metadata, known = resource["metadata"], resource.get("status", {}).get("trading", {})
    why = metadata.get("annotations", {}).get(kubernetes.ANNOTATION_REASON, "")[:WHY_LIMIT]
    since = moment(known.get("since"))
    if known.get("mode") == mode and since is not None:
        return Trading(
            since=since,
            changed_by=known.get("changedBy", ""),
            why=why,
            undone=tuple(known.get("undone", ())),
        )
    if mode is None:
        return Trading()
    entry = _last_writer(metadata)
    # A mode that was never another one is as old as the agent.
    told = entry.get("time") or (None if known.get("mode") else metadata.get("creationTimestamp"))
    return Trading(
        since=min(moment(told) or now, now),
        changed_by=entry.get("manager", ""),
        why=why,
    )


def _last_writer(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """The newest entry of managedFields that owns spec.trading.mode; the cache keeps no others."""
    entries: list[Mapping[str, Any]] = metadata.get("managedFields", [])
    return max(entries, key=lambda entry: str(entry.get("time", "")), default={})
