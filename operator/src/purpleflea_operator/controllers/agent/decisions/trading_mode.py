"""The trading mode from the request to its confirmation. Pure.

It decides which pods must acknowledge the mode, which have done so, and how many may run. A pod that started after the
ConfigMap had the mode Active is not asked, because it is ready only if it can trade. A pod whose mode changed, or that
must not trade, has to acknowledge the mode itself. The module also finds who set the mode, when and why.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from purpleflea_contract import control_file, kubernetes
from purpleflea_contract.control import Control, Mode, strongest
from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    AgentPod,
    ObservedState,
    TradingObservation,
)
from purpleflea_operator.controllers.agent.decisions.remembered import Remembered
from purpleflea_operator.controllers.halt.decisions.halt import Halt
from purpleflea_operator.manifests.metadata import Agent
from purpleflea_operator.parsing import mapping, timestamp

MAX_INCOMPLETE = 10
INCOMPLETE_LIMIT = 253
CHANGE_REASON_LIMIT = 253
MAX_HALTS = 10


def requested_mode(observed: ObservedState) -> Mode | None:
    """Return the mode in the spec; None if the spec is invalid and does not request a stop."""
    return observed.stop_mode if observed.agent is None else observed.agent.spec.trading.mode


def desired_control(observed: ObservedState) -> Control | None:
    """Return the desired control file: the strongest of the spec and the halts.

    It is None if the spec is invalid and nothing requests a stop, so that nothing changes.
    """
    held, halts = observed.held, observed.halts
    mode = strongest(
        requested_mode(observed),
        None if held is None else held.mode,
        *(item.mode for item in halts),
    )
    if mode is None:
        return None
    if observed.is_unconfirmed and mode is Mode.STOPPED:
        mode = Mode.HALTED
    flatten = any(item.flatten for item in halts) or (held is not None and held.flatten)
    return _control(mode, flatten and mode is Mode.STOPPED)


@functools.cache
def _control(mode: Mode, flatten: bool) -> Control:
    """Return one of the six control files. A pass needs it about 20 times."""
    return Control(mode=mode, flatten=flatten)


def desired_mode(observed: ObservedState) -> Mode | None:
    """Return the desired mode; None if the spec is invalid and nothing requests a stop, so that nothing changes."""
    control = desired_control(observed)
    return None if control is None else control.mode


def is_stronger(one: Control, other: Control) -> bool:
    """Return whether a control file allows less than another one, or also flattens."""
    if one.mode is other.mode:
        return one.flatten and not other.flatten
    return strongest(one.mode, other.mode) is one.mode


def deciding_halts(observed: ObservedState) -> list[Halt]:
    """Return the halts that request the desired mode; without them the agent would have a weaker one."""
    mode = desired_mode(observed)
    return [item for item in observed.halts if item.mode is mode]


def is_halted(observed: ObservedState) -> bool:
    """Return whether a PurpleFleaHalt applies to the agent, or is still being ended."""
    return bool(observed.halts) or observed.held is not None


def controlled(observed: ObservedState, agent: Agent) -> Agent:
    """Return the agent with the control file that applies."""
    return replace(agent, control=desired_control(observed), is_halted=is_halted(observed))


def pods_to_acknowledge(observed: ObservedState) -> list[AgentPod]:
    """Return the pods that must acknowledge the mode, sorted by name.

    A pod that ran once and does not run now is included, because it can have positions and has not confirmed that
    nothing is in flight.
    """
    mode = desired_mode(observed)
    if mode is None:
        return []
    pods = (pod for pod in observed.pods if has_run(pod))
    if mode is Mode.ACTIVE:
        pods = (pod for pod in pods if had_different_mode(observed, pod))
    return sorted(pods, key=lambda pod: pod.name)


def has_run(pod: AgentPod) -> bool:
    """Return whether a pod runs, or ran once."""
    return pod.started or pod.restarts > 0


def had_different_mode(observed: ObservedState, pod: AgentPod) -> bool:
    """Return whether a pod has read, or may have read, another mode than Active since its start."""
    since = observed.trading.since
    return pod.last_nudge is not None or (since is not None and pod.created < since)


def has_acknowledged(observed: ObservedState, pod: AgentPod) -> bool:
    """Return whether a pod reports the desired mode and, unless that is Active, that nothing is in flight."""
    response = observed.trading.acknowledgements.get(pod.uid)
    control = desired_control(observed)
    if response is None or control is None or response.mode is not control.mode:
        return False
    # An agent that does not report the result may not have read the request yet, or may not support it.
    lacks_result = control.flatten and response.flattened is None
    return control.mode is Mode.ACTIVE or (response.at_rest and not lacks_result)


def unacknowledged(observed: ObservedState) -> list[AgentPod]:
    """Return the pods that have not acknowledged the mode."""
    return [pod for pod in pods_to_acknowledge(observed) if not has_acknowledged(observed, pod)]


def unaccounted(observed: ObservedState) -> tuple[str, ...]:
    """Return the names of pods that must not trade, and that may run although they are not watched."""
    mode = desired_mode(observed)
    if mode is None or mode is Mode.ACTIVE:
        return ()
    return tuple(sorted({*observed.trading.unseen, *unconfirmed(observed)}))


def unconfirmed(observed: ObservedState) -> set[str]:
    """Return the names of pods that must not trade, and that may run although the cache shows none that does.

    The watch of the pods can be behind without an error, so a pod that is missing, or did not start yet, can run. Each
    name is read once after the mode was written. A pod that is created after that starts with the mode.
    """
    mode = desired_mode(observed)
    if mode is None or mode is Mode.ACTIVE:
        return set()
    names = {pod.name for pod in observed.pods} | _requested_pods(observed)
    asked = {pod.name for pod in pods_to_acknowledge(observed)}
    return names - asked - set(observed.trading.confirmed)


def _requested_pods(observed: ObservedState) -> set[str]:
    """Return the names of the pods of the StatefulSet, also of those that it has not deleted yet."""
    stateful_set = observed.stateful_set or observed.recreated
    if stateful_set is None:
        return set()
    spec, left = stateful_set["spec"], mapping(stateful_set.get("status")).get("replicas", 0)
    first = mapping(spec.get("ordinals")).get("start", 0)
    count = max(live_replicas(observed), left)
    return {f"{stateful_set['metadata']['name']}-{first + number}" for number in range(count)}


def is_proven(observed: ObservedState) -> bool:
    """Return whether every pod that must acknowledge the mode has done so, and no other pod may run.

    Pods that have not started do not count: a stop deletes them, and an agent that resumes may trade.
    """
    return not unacknowledged(observed) and not unaccounted(observed)


def lost_pods(seen: Mapping[str, bool], observed: ObservedState) -> set[str]:
    """Return the names of pods that are not watched any more, and were not being deleted when they were seen last.

    A watch with a selector reports a pod as deleted if a label was removed. `seen` has the pods of the last pass, and
    whether each was being deleted.
    """
    names = {pod.name for pod in observed.pods}
    return {name for name, is_deleting in seen.items() if not is_deleting} - names


def nudge(control: Control, attempts: int | None = None) -> str:
    """Return the annotation value that sends a control file to a pod; `attempts` is that of a repeated nudge."""
    return control_file.nudge(control.mode, flatten=control.flatten, attempts=attempts)


def next_nudge(last: str | None, control: Control) -> str:
    """Return the annotation value that sends a control file to a pod again; `last` is its current value."""
    return control_file.next_nudge(last, control.mode, flatten=control.flatten)


def nudged_mode(value: str | None) -> Mode | None:
    """Return the mode in an annotation value of `nudge`; None if it has none."""
    text = re.split("[-.]", value or "")[0]
    return next((mode for mode in Mode if mode == text), None)


def is_nudged(value: str | None, control: Control) -> bool:
    """Return whether the annotation of a pod has a control file, after any number of attempts."""
    return control_file.is_nudged(value, control.mode, flatten=control.flatten)


def stop_deadline(observed: ObservedState) -> datetime | None:
    """Return the time at which stopping pods are deleted without an acknowledgement; None if no pod has to stop.

    The grace period starts when the request was sent to the pods, because the operator may not have run when the mode
    was set. The time of that request has the offset to `now` that a monotonic clock measured, so a step of the wall
    clock neither delays nor hastens the deletion.
    """
    trading, agent = observed.trading, observed.agent
    if agent is None or desired_mode(observed) is not Mode.STOPPED or trading.since is None:
        return None
    grace_s = agent.spec.pod.termination_grace_period_seconds
    start = trading.delivered_at or trading.since
    return start + timedelta(seconds=grace_s)


def stop_wait_s(observed: ObservedState) -> float:
    """Return the seconds from the observation to the stop deadline; 0 or less if there is none, or if it is over."""
    deadline = stop_deadline(observed)
    if deadline is None or observed.now is None:
        return 0.0
    return (deadline - observed.now).total_seconds()


def is_overdue(observed: ObservedState) -> bool:
    """Return whether the grace period of stopping pods is over."""
    deadline = stop_deadline(observed)
    return deadline is not None and observed.now is not None and observed.now >= deadline


def may_scale_to_zero(observed: ObservedState) -> bool:
    """Return whether the pods of a stopped agent may be deleted: all have drained, or the grace period is over."""
    if desired_mode(observed) is not Mode.STOPPED:
        return False
    return live_replicas(observed) == 0 or is_proven(observed) or is_overdue(observed)


def growth_limit(observed: ObservedState) -> int | None:
    """Return the number of pods that must not grow; None if it may.

    A halt that cannot be read may select a trading agent, so no further pod of it may start to trade, also while its
    StatefulSet is recreated. A new agent starts halted.
    """
    is_new = not any(kind in ("ConfigMap", "StatefulSet") for kind, _ in observed.children)
    if not observed.unread_halts or (is_new and not observed.pods):
        return None
    return live_replicas(observed) if desired_mode(observed) is Mode.ACTIVE else None


def live_replicas(observed: ObservedState) -> int:
    """Return the number of pods that the StatefulSet requests, also while it is recreated.

    The cached pods count only if this process did not delete the StatefulSet itself, because a watch can be behind.
    """
    stateful_set = observed.stateful_set or observed.recreated
    if stateful_set is not None:
        return int(stateful_set["spec"].get("replicas", 1))
    return max((ordinal(pod) + 1 for pod in observed.pods if not pod.deleting), default=0)


def ordinal(pod: AgentPod) -> int:
    """Return the ordinal of a pod; -1 if its name does not end with one."""
    text = pod.name.rpartition("-")[2]
    # A pod that a user created can have any number. The API limits replicas to 31 bits.
    return int(text) if re.fullmatch(r"0|[1-9][0-9]{0,8}", text, re.ASCII) else -1


def incomplete(observed: ObservedState) -> tuple[str, ...]:
    """Return the work that stopped pods did not complete: as reported, and as remembered for pods that are gone."""
    if desired_mode(observed) is not Mode.STOPPED:
        return ()
    by_pod = dict(_by_pod(item) for item in observed.trading.incomplete)
    for pod in pods_to_acknowledge(observed):
        response = observed.trading.acknowledgements.get(pod.uid)
        if response is not None and has_acknowledged(observed, pod):
            by_pod.pop(pod.name, None)
            if response.left_undone:
                by_pod[pod.name] = response.left_undone
        elif is_overdue(observed) and not pod.deleting:
            by_pod[pod.name] = "did not report that it is drained before its grace period ended"
    lines = (f"{name}: {text}"[:INCOMPLETE_LIMIT] for name, text in sorted(by_pod.items()))
    return tuple(lines)[:MAX_INCOMPLETE]


def _by_pod(item: str) -> tuple[str, str]:
    name, _, text = item.partition(": ")
    return name, text


def trading_observation(
    resource: Mapping[str, Any], mode: Mode | None, now: datetime, *, halts: Sequence[Halt] = ()
) -> TradingObservation:
    """Return who set the mode, when and why. `halts` are those that request it.

    If the status already has these values, they stay: the time in managedFields changes with everything that the same
    field manager writes.
    """
    metadata, known = resource["metadata"], resource.get("status", {}).get("trading", {})
    if halts:
        return TradingObservation(
            since=min(halts[0].created_at or now, now),
            changed_by=f"PurpleFleaHalt {halts[0].id}",
            reason=halts[0].reason,
            halts=tuple(item.id for item in halts[:MAX_HALTS]),
            incomplete=tuple(known.get("undone", ())) if known.get("mode") == mode else (),
        )
    annotations = metadata.get("annotations", {})
    reason = annotations.get(kubernetes.ANNOTATION_REASON, "")[:CHANGE_REASON_LIMIT]
    since = timestamp(known.get("since"))
    was_halted = bool(known.get("halts"))
    if known.get("mode") == mode and since is not None and not was_halted:
        return TradingObservation(
            since=since,
            changed_by=known.get("changedBy", ""),
            reason=reason,
            incomplete=tuple(known.get("undone", ())),
        )
    if mode is None:
        return TradingObservation()
    entry = _last_writer(metadata)
    # A mode that never changed was set when the agent was created.
    default = None if known.get("mode") else metadata.get("creationTimestamp")
    # The mode of the spec applies again, which it did not at the time of its last change.
    set_at = None if was_halted and known.get("mode") != mode else entry.get("time") or default
    return TradingObservation(
        since=min(timestamp(set_at) or now, now),
        changed_by=entry.get("manager", ""),
        reason=reason,
        incomplete=tuple(known.get("undone", ())) if known.get("mode") == mode else (),
    )


def _last_writer(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the newest entry of managedFields that owns spec.trading.mode; the cache keeps only such entries."""
    entries: list[Mapping[str, Any]] = metadata.get("managedFields", [])
    return max(entries, key=lambda entry: str(entry.get("time", "")), default={})


def with_acknowledgements(
    trading: TradingObservation,
    control: Control | None,
    pods: Sequence[AgentPod],
    remembered: Remembered,
    now: datetime,
) -> TradingObservation:
    """Return the observation with the remembered responses of live pods.

    Responses about another control file are dropped: a stop that also flattens is another request than a stop.
    """
    trading = replace(trading, unseen=remembered.unseen)
    if remembered.delivered_at is None or remembered.control != control:
        return replace(trading, delivered_at=now)
    uids = {pod.uid for pod in pods}
    responses = {uid: item for uid, item in remembered.acknowledgements.items() if uid in uids}
    attempts = remembered.attempts
    stale = {
        uid: attempts.get(uid, 0)
        for uid, item in responses.items()
        if (control is None or item.mode is not control.mode)
        and attempts.get(uid, 0) >= timings.STALE_AFTER_ATTEMPTS
    }
    return replace(
        trading,
        acknowledgements=responses,
        stale_pods=stale,
        outdated_pods=uids & set(remembered.outdated),
        confirmed=remembered.confirmed,
        mounted=remembered.mounted,
        delivered_at=remembered.delivered_at,
    )
