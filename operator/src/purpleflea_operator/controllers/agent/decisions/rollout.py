"""The extent of a rollout: the number of pods, and the pods that receive the new revision. Pure.

A StatefulSet waits for the first new pod that is not available, but gives the new revision to every other pod that is
recreated meanwhile, and since Kubernetes 1.37 also to all old pods that are not available, such as those younger than
minReadySeconds. Therefore a changed template is written together with a partition, so that only the highest pod tries
it. The partition is removed when all pods above it are available with the new revision. This costs one write for each
change, and none for an agent with one pod. The partition is set again, above the highest pod without the new revision,
if a new pod fails, or if a new pod is not available and another pod is gone.

The decision depends on the templates of the pods, the template and number of pods to apply, and the last good template.
So it does not change if the StatefulSet is scaled or created again.

The number of pods is the one in the spec, reduced if identities must not start, or have drained after a stop.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from purpleflea_operator import timings
from purpleflea_operator.api.explanations.agent import TERMINAL
from purpleflea_operator.controllers.agent.decisions import trading_mode
from purpleflea_operator.controllers.agent.decisions.conditions.duplicate_identity import is_refused
from purpleflea_operator.controllers.agent.decisions.conditions.progressing import is_late
from purpleflea_operator.controllers.agent.decisions.conditions.workload_available import (
    pod_problem,
)
from purpleflea_operator.controllers.agent.decisions.observed_state import AgentPod, ObservedState
from purpleflea_operator.controllers.agent.decisions.trading_mode import ordinal
from purpleflea_operator.manifests import template_record
from purpleflea_operator.manifests.metadata import Agent
from purpleflea_operator.parsing import Manifest, MutableManifest, mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rollout:
    """The pods of a StatefulSet by ordinal; pods that are being deleted are left out."""

    new: Mapping[int, AgentPod]
    """Pods with the wanted template."""
    old: Mapping[int, AgentPod]
    count: int
    """Number of pods that are requested."""
    partition: int
    """The partition that the StatefulSet has."""
    min_ready: timedelta
    """Time for which a pod must be ready to be available."""

    @property
    def gone(self) -> set[int]:
        """Ordinals without a pod."""
        return set(range(self.count)) - self.new.keys() - self.old.keys()

    @property
    def protected(self) -> int:
        """The lowest partition with which no further pod gets the wanted template."""
        return max(
            (number + 1 for number in range(self.count) if number not in self.new), default=0
        )


def paused_partition(observed: ObservedState, wanted: Manifest) -> int:
    """Return the ordinal below which pods keep their revision; 0 if the rollout is not paused.

    `wanted` is the StatefulSet to apply, with its template and replicas.
    """
    rollout = _rollout(observed, wanted)
    is_complete = not rollout.old and not (rollout.gone and _is_rolling(observed))
    if is_complete or _is_known_good(observed, rollout, wanted):
        return 0
    if any(fails(observed, pod) for pod in rollout.new.values()):
        return rollout.protected
    if _lacks_old_pods(observed, rollout):
        return min(rollout.protected, rollout.count - 1)
    if _is_unproven(observed, rollout, wanted):
        # At least one pod must try the template, also if there are fewer pods than before.
        return min(rollout.partition or rollout.count, rollout.count - 1)
    return 0


def next_check_s(observed: ObservedState) -> float | None:
    """Return the seconds until a pod of a paused rollout is available; None if there is no such pod."""
    live = observed.stateful_set
    if live is None or observed.now is None:
        return None
    rollout = _rollout(observed, live)
    waits = [
        (pod.ready_since + rollout.min_ready - observed.now).total_seconds()
        for pod in rollout.new.values()
        if rollout.partition and pod.ready and pod.ready_since is not None
    ]
    return min((wait for wait in waits if wait > 0.0), default=None)


def with_partition(stateful_set: Manifest, partition: int) -> MutableManifest:
    """Return the StatefulSet with a partition."""
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}
    return {**stateful_set, "spec": {**stateful_set["spec"], "updateStrategy": strategy}}


def is_restarting(stateful_set: Manifest) -> bool:
    """Return whether pods are being replaced, or are not ready for minReadySeconds yet."""
    status, replicas = stateful_set.get("status", {}), stateful_set["spec"].get("replicas", 1)
    ready = "availableReplicas" if stateful_set["spec"].get("minReadySeconds") else "readyReplicas"
    counts = (status.get(name, 0) for name in ("updatedReplicas", ready))
    is_seen = status.get("observedGeneration", 0) >= stateful_set["metadata"].get("generation", 0)
    return not is_seen or any(count < replicas for count in counts)


def has_restarting_pods(observed: ObservedState) -> bool:
    """Return whether pods are being replaced, not ready for minReadySeconds yet, or have an earlier template.

    The counts in the status can include pods that a smaller number of replicas deletes, so they are not sufficient.
    """
    live = observed.stateful_set
    if live is None:
        return False
    wanted, count = template_record.template_hash(live), live["spec"].get("replicas", 1)
    is_replaced = any(
        (pod.deleting or pod.template_hash != wanted) and 0 <= ordinal(pod) < count
        for pod in observed.pods
    )
    return is_replaced or is_restarting(live)


def _rollout(observed: ObservedState, wanted: Manifest) -> _Rollout:
    count = wanted["spec"].get("replicas", 1)
    pods = {
        ordinal(pod): pod for pod in observed.pods if not pod.deleting and 0 <= ordinal(pod) < count
    }
    new = {number: pod for number, pod in pods.items() if _is_new(observed, pod, wanted)}
    min_ready = timedelta(seconds=wanted["spec"].get("minReadySeconds", 0))
    return _Rollout(
        new=new,
        old={number: pod for number, pod in pods.items() if number not in new},
        count=count,
        partition=_partition(observed),
        min_ready=min_ready,
    )


def _is_new(observed: ObservedState, pod: AgentPod, wanted: Manifest) -> bool:
    """Return whether a pod has the wanted template.

    Pods with the same hash can have two revisions, after a change of the StatefulSet by another client, such as
    `kubectl rollout restart`. A template of an earlier version of the operator has no hash.
    """
    wanted_hash, live = template_record.template_hash(wanted), observed.stateful_set
    if pod.template_hash != wanted_hash:
        return False
    if live is None or template_record.template_hash(live) != wanted_hash:
        return True
    status = mapping(live.get("status"))
    is_observed = status.get("observedGeneration", 0) >= live["metadata"].get("generation", 0)
    return not is_observed or pod.revision == status.get("updateRevision")


def _is_rolling(observed: ObservedState) -> bool:
    """Return whether the StatefulSet has not completed the rollout of its template."""
    status = {} if observed.stateful_set is None else mapping(observed.stateful_set.get("status"))
    current = status.get("currentRevision")
    return current is not None and current != status.get("updateRevision")


def _is_known_good(observed: ObservedState, rollout: _Rollout, wanted: Manifest) -> bool:
    """Return whether all pods were ready with the wanted template before the rollout, so it is a rollback.

    If an old pod has the wanted template already, another client has changed the StatefulSet since, such as `kubectl
    rollout restart`. No pod has proven that revision.
    """
    live = observed.stateful_set or observed.recreated
    known = "" if live is None else template_record.last_good(live)
    hash_ = template_record.template_hash(wanted)
    is_restart = any(pod.template_hash == hash_ for pod in rollout.old.values())
    return bool(known) and known == hash_ and not is_restart


def _partition(observed: ObservedState) -> int:
    live = observed.stateful_set or observed.recreated
    strategy = {} if live is None else mapping(live["spec"].get("updateStrategy"))
    partition: int = mapping(strategy.get("rollingUpdate")).get("partition", 0)
    return partition


def _lacks_old_pods(observed: ObservedState, rollout: _Rollout) -> bool:
    """Return whether pods are gone that would be created with a template that no pod has proven to work.

    The highest pod tries it, so the rollout itself deletes that one.
    """
    if rollout.new and all(_is_available(observed, pod, rollout) for pod in rollout.new.values()):
        return False
    return bool(rollout.gone - {rollout.count - 1})


def _is_unproven(observed: ObservedState, rollout: _Rollout, wanted: Manifest) -> bool:
    """Return whether a pod must try the template before the others.

    This ends when all pods at and above the partition are available with the new revision.
    """
    if not rollout.partition and not _is_change(observed, rollout, wanted):
        return False
    first = min(rollout.partition or rollout.count, rollout.count - 1)
    pods = [rollout.new.get(number) for number in range(first, rollout.count)]
    tried = [pod for pod in pods if pod is not None and _is_available(observed, pod, rollout)]
    if len(tried) < len(pods):
        return True
    is_uncertain = any(_is_ready_in_future(observed, pod) for pod in tried)
    return is_uncertain and not _all_are_available(observed, rollout)


def _is_change(observed: ObservedState, rollout: _Rollout, wanted: Manifest) -> bool:
    """Return whether another template is applied, and an old pod must be protected from it."""
    live = observed.stateful_set
    is_same = live is not None and (
        template_record.template_hash(live) == template_record.template_hash(wanted)
    )
    # If all old pods fail, nothing can get worse, and all of them try the corrected template at once.
    return not is_same and not all(fails(observed, pod) for pod in rollout.old.values())


def _is_available(observed: ObservedState, pod: AgentPod, rollout: _Rollout) -> bool:
    if not pod.ready or observed.now is None or pod.ready_since is None:
        return pod.ready
    is_old_enough = observed.now - pod.ready_since >= rollout.min_ready
    return is_old_enough or _is_ready_in_future(observed, pod)


def _is_ready_in_future(observed: ObservedState, pod: AgentPod) -> bool:
    """Return whether the clock of the operator is so far behind that of the node that it cannot count minReadySeconds.

    The rollout would wait until the clock has caught up. The counts of the StatefulSet are used instead.
    """
    if observed.now is None or pod.ready_since is None:
        return False
    return pod.ready_since - observed.now > timings.CLOCK_TOLERANCE


def _all_are_available(observed: ObservedState, rollout: _Rollout) -> bool:
    """Return whether the controller of the StatefulSet counts all pods as available."""
    live = observed.stateful_set
    if live is None:
        return False
    status = mapping(live.get("status"))
    is_observed = status.get("observedGeneration", 0) >= live["metadata"].get("generation", 0)
    is_current = is_observed and status.get("updatedReplicas", 0) >= len(rollout.new)
    return bool(is_current and status.get("availableReplicas", 0) >= rollout.count)


def fails(observed: ObservedState, pod: AgentPod) -> bool:
    """Return whether a pod will not become ready without a change, or has not become ready in time."""
    if pod.ready or pod.deleting:
        return False
    problem = pod_problem(pod, observed.now)
    return is_late(observed, pod) or (problem is not None and problem[0] in TERMINAL)


def effective_replicas(observed: ObservedState, agent: Agent) -> int:
    """Return the number of pods to request."""
    wanted = agent.spec.replicas
    if is_refused(observed):
        # Running pods stay, because they can hold positions. A change of either agent's env can cause the conflict.
        # Pods that never ran are removed, because they would start beside the holder later.
        live = 0 if observed.never_started else trading_mode.live_replicas(observed)
        wanted = min(wanted, live)
    limit = trading_mode.growth_limit(observed)
    if limit is not None:
        wanted = min(wanted, limit)
    return 0 if trading_mode.may_scale_to_zero(observed) else wanted


def effective_agent(observed: ObservedState, agent: Agent) -> Agent:
    """Return the agent with the replicas that apply now."""
    count = effective_replicas(observed, agent)
    controlled = trading_mode.controlled(observed, agent)
    if count == agent.spec.replicas:
        return controlled
    spec = controlled.spec.model_copy(update={"replicas": count})
    return replace(controlled, spec=spec)
