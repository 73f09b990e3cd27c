"""Pure: absences, and the downtimes in Datadog -> the requests that make them agree.

A downtime mutes only the heartbeat monitor of one PurpleFleaObservability, and only the identities in its scope. It
ends by itself: after more than a day for identities that are absent, because Datadog drops their groups after a day,
and after a quarter of an hour for pods that are being replaced, so that a failed rollout alerts.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from purpleflea_contract import kubernetes, tags
from purpleflea_operator.controllers.observability.decisions.absences import (
    FORGOTTEN,
    REPLACED_WITHIN,
    Absences,
)
from purpleflea_operator.datadog.definitions.health_alerts import HEARTBEAT
from purpleflea_operator.datadog.definitions.objects import Body
from purpleflea_operator.parsing import mapping, text, timestamp

MAX_SCOPE = 100
"""Most identities in one downtime."""
ABSENT_FOR = FORGOTTEN + timedelta(hours=1)
SHORT = timedelta(minutes=30)
"""A downtime that ends within this time does not cover an absence."""
_SCOPE = re.compile(rf"{tags.AGENT_ID.name}:(?:\((?P<several>[^()]+)\)|(?P<one>[^()\s]+))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Downtime:
    """One downtime of the resource."""

    id: str
    identities: tuple[str, ...]
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Requests: new downtimes (identities and end), reduced scopes by id, and ids to cancel."""

    creates: tuple[tuple[tuple[str, ...], datetime], ...] = ()
    reductions: Mapping[str, tuple[str, ...]]
    cancels: tuple[str, ...] = ()


def monitor_tags(uid: str) -> list[str]:
    """Return the tags that only the heartbeat monitor of the resource has."""
    return [f"purpleflea-uid:{uid}", f"purpleflea-object:{HEARTBEAT}"]


def downtimes_of(uid: str, items: Iterable[Mapping[str, Any]]) -> tuple[Downtime, ...]:
    """Return the current downtimes of the resource in a list of the API. Those of other users are omitted."""
    found = []
    for item in items:
        attributes = mapping(item.get("attributes"))
        identifier = mapping(attributes.get("monitor_identifier")).get("monitor_tags")
        end = timestamp(mapping(attributes.get("schedule")).get("end"))
        scope = _SCOPE.fullmatch(text(attributes.get("scope"), limit=MAX_SCOPE * 256).strip())
        is_ours = isinstance(identifier, list) and set(identifier) == set(monitor_tags(uid))
        if not is_ours or end is None or scope is None:
            continue
        if attributes.get("status") in ("canceled", "ended"):
            continue
        names = tuple((scope["several"] or scope["one"]).split(" OR "))
        found.append(Downtime(id=text(item.get("id")), identities=names, end=end))
    return tuple(found)


def changes(
    absences: Absences, replaced: frozenset[str], current: Iterable[Downtime], now: datetime
) -> Changes:
    """Return the requests. `replaced` are the identities whose pods are being replaced.

    An identity that no agent has is left in its downtime, because a new leader has no memory of deleted agents.
    """
    running = absences.running - replaced
    covered: dict[str, datetime] = {}
    reductions, cancels = {}, []
    # If a create without an answer took effect late, an identity has two downtimes. The longer one is kept.
    for item in sorted(current, key=lambda one: (-one.end.timestamp(), one.id)):
        kept = [name for name in item.identities if name not in running and name not in covered]
        covered |= dict.fromkeys(kept, item.end)
        if not kept:
            cancels.append(item.id)
        elif len(kept) < len(item.identities):
            reductions[item.id] = tuple(kept)
    absent = {name for name in absences.absent if covered.get(name, now) - now < SHORT}
    short = {name for name in replaced - absences.absent if name not in covered}
    return Changes(
        creates=(*_chunks(absent, now + ABSENT_FOR), *_chunks(short, now + REPLACED_WITHIN)),
        reductions=reductions,
        cancels=tuple(cancels),
    )


def _chunks(names: set[str], end: datetime) -> list[tuple[tuple[str, ...], datetime]]:
    ordered = sorted(names)
    return [
        (tuple(ordered[start : start + MAX_SCOPE]), end)
        for start in range(0, len(ordered), MAX_SCOPE)
    ]


def create_body(uid: str, identities: tuple[str, ...], end: datetime, now: datetime) -> Body:
    """Return the body that creates a downtime, from now until `end`."""
    is_short = end - now <= REPLACED_WITHIN
    reason = "are being replaced" if is_short else "were stopped or removed"
    attributes: Body = {
        "message": f"Agents {reason} on purpose. Set by {kubernetes.MANAGED_BY}.",
        "monitor_identifier": {"monitor_tags": monitor_tags(uid)},
        "scope": scope(identities),
        "schedule": {"end": end.strftime("%Y-%m-%dT%H:%M:%S+00:00")},
        "mute_first_recovery_notification": True,
    }
    if is_short:
        attributes["notify_end_types"] = ["expired"]
        attributes["notify_end_states"] = ["alert", "no data"]
    return {"data": {"type": "downtime", "attributes": attributes}}


def scope(identities: tuple[str, ...]) -> str:
    """Return the scope of a downtime in Datadog's search syntax."""
    if len(identities) == 1:
        return f"{tags.AGENT_ID.name}:{identities[0]}"
    return f"{tags.AGENT_ID.name}:({' OR '.join(identities)})"
