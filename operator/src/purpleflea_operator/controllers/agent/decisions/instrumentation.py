"""The choice whether a DatadogInstrumentation or annotations have the logs and checks of an agent. Pure.

The choice is part of the pod template, so a switch restarts the agents. It is a change by the operator, which waits for
a restart slot, or is included in the next change by a user (`upgrade`). Until then the agent keeps what its StatefulSet
has, so that exactly one of the two exists.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.kube.resources import INSTRUMENTATION
from purpleflea_operator.manifests import collection
from purpleflea_operator.parsing import (
    Manifest,
    MutableManifest,
    mapping,
    mappings,
    text,
    timestamp,
)

_CONDITIONS = (("checks", "ChecksReady"), ("logs", "LogsReady"))
_MESSAGE_LIMIT = 200


def is_wanted(observed: ObservedState, is_served: bool | None) -> bool:
    """Return whether the agent uses a DatadogInstrumentation. If it is unknown whether the kind is served, it stays."""
    if is_served is not None:
        return is_served
    live = observed.stateful_set or observed.recreated
    return live is not None and collection.uses_instrumentation(live)


def writable(children: Iterable[MutableManifest], is_served: bool | None) -> list[MutableManifest]:
    """Return the children without one of a kind that the API server does not serve."""
    return [item for item in children if is_served or item["kind"] != INSTRUMENTATION.kind]


def removable(observed: ObservedState, is_served: bool | None) -> ObservedState:
    """Return the observed state without children of a kind that the API server does not serve."""
    if is_served:
        return observed
    known: dict[tuple[str, str], Manifest] = {
        key: item for key, item in observed.children.items() if key[0] != INSTRUMENTATION.kind
    }
    return replace(observed, children=known)


def problem(observed: ObservedState) -> str:
    """Return why the Cluster Agent does not use the DatadogInstrumentation; empty if it does, or if there is none."""
    states = _states(observed)
    for condition in states.values():
        if condition.get("status") == "False":
            reason = text(condition.get("message")) or text(condition.get("reason"))
            return f"Datadog refuses it: {reason[:_MESSAGE_LIMIT]}"
    is_missing = not all(states.values()) and next_check_s(observed) is None
    return "no Cluster Agent has processed it" if is_missing else ""


def next_check_s(observed: ObservedState) -> float | None:
    """Return the seconds after which a DatadogInstrumentation without a state counts as unused; None if it has one."""
    live = _live(observed)
    created = timestamp(mapping(live.get("metadata")).get("creationTimestamp"))
    if created is None or observed.now is None or all(_states(observed).values()):
        return None
    left = created + timedelta(seconds=timings.INSTRUMENTATION_UNUSED_AFTER_S) - observed.now
    return left.total_seconds() if left > timedelta() else None


def _live(observed: ObservedState) -> Manifest:
    found = (item for (kind, _), item in observed.children.items() if kind == INSTRUMENTATION.kind)
    return next(found, {})


def _states(observed: ObservedState) -> dict[str, Manifest]:
    """Return the conditions that the Cluster Agent sets for what is collected; empty for one that is missing."""
    live = _live(observed)
    config = mapping(mapping(live.get("spec")).get("config"))
    known = {
        text(item.get("type")): item
        for item in mappings(mapping(live.get("status")).get("conditions"))
    }
    return {kind: known.get(kind, {}) for section, kind in _CONDITIONS if config.get(section)}
