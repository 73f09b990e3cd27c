"""The trading mode from the wish to the proof: which agents must acknowledge it, which have, how many may run. Pure.

An agent that started after the ConfigMap said so needs no question while Active: it is ready only when it can trade.
One that was told to change, or that must not trade, has to say so itself.

Who set the trading mode, when and why: from the resource and from what its status already says. Pure.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_contract.control import Mode
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    ObservedState,
    Pod,
    TradingObservation,
)
from purpleflea_operator.parsing import moment

MAX_INCOMPLETE = 10


def desired_mode(world: ObservedState) -> Mode | None:
    """The mode that is wanted; None where the spec is invalid and does not say to stop: then nothing changes."""
    return world.stop_mode if world.agent is None else world.agent.spec.trading.mode


def pods_to_acknowledge(world: ObservedState) -> list[Pod]:
    """The pods that have to acknowledge the mode, in the order of their names.

    One that ran once and does not run now counts: it may have positions, and nobody said that it is at rest.
    """
    mode = desired_mode(world)
    if mode is None:
        return []
    found = (pod for pod in world.pods if pod.started or pod.restarts)
    if mode is Mode.ACTIVE:
        found = (pod for pod in found if had_different_mode(world, pod))
    return sorted(found, key=lambda pod: pod.name)


def had_different_mode(world: ObservedState, pod: Pod) -> bool:
    """Whether a pod has, or may have, read another mode than Active since it started."""
    since = world.trading.since
    return pod.last_nudge is not None or (since is not None and pod.created < since)


def has_acknowledged(world: ObservedState, pod: Pod) -> bool:
    """Whether an agent says that it acts on the mode, and that nothing is on its way any more."""
    word, mode = world.trading.acknowledgements.get(pod.uid), desired_mode(world)
    return word is not None and word.mode is mode and (mode is Mode.ACTIVE or word.at_rest)


def unacknowledged(world: ObservedState) -> list[Pod]:
    """The pods that have not acknowledged the mode."""
    return [pod for pod in pods_to_acknowledge(world) if not has_acknowledged(world, pod)]


def stop_deadline(world: ObservedState) -> datetime | None:
    """When agents that are to stop are stopped whatever they say; None where none are.

    Their time counts from when the order reached them: nobody may have operated when it was given.
    """
    trading = world.trading
    if world.agent is None or desired_mode(world) is not Mode.STOPPED or trading.since is None:
        return None
    grace_s = world.agent.spec.pod.termination_grace_period_seconds
    given = (
        trading.since if trading.delivered_at is None else max(trading.since, trading.delivered_at)
    )
    return given + timedelta(seconds=grace_s)


def is_overdue(world: ObservedState) -> bool:
    """Whether the time for coming to rest is up."""
    deadline = stop_deadline(world)
    return deadline is not None and world.now is not None and world.now >= deadline


def may_scale_to_zero(world: ObservedState) -> bool:
    """Whether the pods of a stopped agent may be ended: all are at rest, or their time is up."""
    if desired_mode(world) is not Mode.STOPPED:
        return False
    return live_replicas(world) == 0 or not unacknowledged(world) or is_overdue(world)


def live_replicas(world: ObservedState) -> int:
    """How many pods there are meant to be already.

    While the StatefulSet is being made anew, only its pods tell.
    """
    stateful_set = world.stateful_set
    if stateful_set is not None:
        return int(stateful_set["spec"].get("replicas", 1))
    return max((ordinal(pod) + 1 for pod in world.pods if not pod.deleting), default=0)


def ordinal(pod: Pod) -> int:
    """The number of its identity; -1 where its name ends with none."""
    text = pod.name.rpartition("-")[2]
    # A pod that somebody else created can have any number; the API takes replicas of 31 bits.
    return int(text) if re.fullmatch(r"0|[1-9][0-9]{0,8}", text, re.ASCII) else -1


def incomplete(world: ObservedState) -> tuple[str, ...]:
    """What stopped agents left undone: those that are gone as remembered, the others as they say."""
    if desired_mode(world) is not Mode.STOPPED:
        return ()
    found = dict(_by_agent(item) for item in world.trading.incomplete)
    for pod in pods_to_acknowledge(world):
        word = world.trading.acknowledgements.get(pod.uid)
        if word is not None and has_acknowledged(world, pod):
            found.pop(pod.name, None)
            if word.left_undone:
                found[pod.name] = word.left_undone
        elif is_overdue(world) and not pod.deleting:
            found[pod.name] = "did not say that it is at rest"
    return tuple(f"{name}: {text}"[:253] for name, text in sorted(found.items()))[:MAX_INCOMPLETE]


def _by_agent(item: str) -> tuple[str, str]:
    name, _, text = item.partition(": ")
    return name, text


CHANGE_REASON_LIMIT = 253


def trading_observation(
    resource: Mapping[str, Any], mode: Mode | None, now: datetime
) -> TradingObservation:
    """What is known about the mode that is wanted.

    Once it is in the status it stays: the time of a field manager's entry moves with all that this manager writes.
    """
    metadata, known = resource["metadata"], resource.get("status", {}).get("trading", {})
    reason = metadata.get("annotations", {}).get(kubernetes.ANNOTATION_REASON, "")[
        :CHANGE_REASON_LIMIT
    ]
    since = moment(known.get("since"))
    if known.get("mode") == mode and since is not None:
        return TradingObservation(
            since=since,
            changed_by=known.get("changedBy", ""),
            reason=reason,
            incomplete=tuple(known.get("undone", ())),
        )
    if mode is None:
        return TradingObservation()
    entry = _last_writer(metadata)
    # A mode that was never another one is as old as the agent.
    told = entry.get("time") or (None if known.get("mode") else metadata.get("creationTimestamp"))
    return TradingObservation(
        since=min(moment(told) or now, now),
        changed_by=entry.get("manager", ""),
        reason=reason,
    )


def _last_writer(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """The newest entry of managedFields that owns spec.trading.mode; the cache keeps no others."""
    entries: list[Mapping[str, Any]] = metadata.get("managedFields", [])
    return max(entries, key=lambda entry: str(entry.get("time", "")), default={})
