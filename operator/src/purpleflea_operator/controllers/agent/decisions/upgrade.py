"""The decision when an agent gets a pod template that the operator, and no user, has changed. Pure.

Another version of the operator, or another default image, changes the pod template of every agent. Such an agent keeps
its whole StatefulSet until its turn. A change by a user is immediate, and includes the pending upgrade, so the pods
restart once. The record on the StatefulSet (`manifests.template_record`) shows which of the two applies.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Literal, assert_never

from purpleflea_contract import kubernetes
from purpleflea_contract.control import Mode
from purpleflea_operator.api.explanations.agent import APPLIED
from purpleflea_operator.controllers.agent.decisions.conditions.duplicate_identity import is_refused
from purpleflea_operator.controllers.agent.decisions.conditions.progressing import is_complete
from purpleflea_operator.controllers.agent.decisions.duplicate_identities import identity_of
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    ObservedState,
    UpgradeWait,
)
from purpleflea_operator.controllers.agent.decisions.rollout import (
    is_restarting,
    paused_partition,
    with_partition,
)
from purpleflea_operator.controllers.agent.decisions.switching import switches
from purpleflea_operator.controllers.agent.decisions.trading_mode import (
    desired_mode,
    live_replicas,
)
from purpleflea_operator.datadog.detection.connection import Connection
from purpleflea_operator.manifests import recorded_connection, template_record
from purpleflea_operator.manifests.metadata import Agent, with_desired_hash
from purpleflea_operator.parsing import Manifest, MutableManifest, mapping

Policy = Literal["Paced", "Manual"]

_OWN_ANNOTATIONS = (
    kubernetes.ANNOTATION_DESIRED_HASH,
    recorded_connection.ANNOTATION,
    *template_record.KEYS,
)
_IMMEDIATE = frozenset(
    {"replicas", "updateStrategy", "volumeClaimTemplates", "persistentVolumeClaimRetentionPolicy"}
)
"""Fields of the spec of a StatefulSet that do not wait, because they restart no pod."""


class Step(Enum):
    """The next step of the pod template."""

    APPLY = auto()
    """It is applied now: it is unchanged, or a user or the connection has changed it."""
    UPGRADE = auto()
    """It is applied if a restart slot is free."""
    KEEP = auto()
    """The live template stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The next step, and the reason if it is not applied."""

    step: Step
    wait: UpgradeWait = UpgradeWait.NOTHING


def decide(
    observed: ObservedState, desired: Manifest, connection: Connection, policy: Policy
) -> Decision:
    """Return the next step of an agent with this rendered StatefulSet and the connection of the pass."""
    live = _workload(observed)
    if live is not None and _takes_held_identity(observed, live, desired):
        return Decision(step=Step.KEEP)
    if live is None or not _is_operator_change(observed, live, desired, connection):
        return Decision(step=Step.APPLY)
    if policy == "Manual" and not _is_requested(observed, live):
        return Decision(step=Step.KEEP, wait=UpgradeWait.REQUEST)
    if not observed.pods:
        return Decision(step=Step.APPLY)
    if observed.stateful_set is None or desired_mode(observed) is Mode.STOPPED:
        # Pods that drain must not be restarted, and a StatefulSet that is created again must adopt its pods unchanged.
        return Decision(step=Step.KEEP, wait=UpgradeWait.TURN)
    return Decision(step=Step.UPGRADE, wait=UpgradeWait.TURN)


def manifest(observed: ObservedState, rendered: Manifest, step: Step) -> MutableManifest:
    """Return the StatefulSet to apply for a step, with the partition of its rollout."""
    base = kept(observed, rendered) if step is Step.KEEP else rendered
    desired = with_partition(rendered, paused_partition(observed, base))
    match step:
        case Step.APPLY:
            return applied(observed, desired)
        case Step.UPGRADE:
            return upgraded(observed, desired)
        case Step.KEEP:
            return kept(observed, desired)
        case _:
            assert_never(step)


def is_user_change(observed: ObservedState, agent: Agent) -> bool:
    """Return whether a user has changed a field that restarts the agents, and no pass has applied it yet."""
    live = _workload(observed)
    is_applied = observed.reported_progress in APPLIED
    if live is None or (observed.reported_generation == agent.generation and is_applied):
        return False
    known = template_record.recorded(live).get(kubernetes.ANNOTATION_SPEC_HASH)
    return known is None or known != template_record.spec_hash(agent)


def upgraded(observed: ObservedState, desired: Manifest) -> MutableManifest:
    """Return the rendered StatefulSet with the operator as the cause of its rollout.

    The cause is recorded only for an agent that was ready, because the failure of another one is not caused by the
    upgrade and must not stop the upgrade of others.
    """
    cause = (
        {kubernetes.ANNOTATION_ROLLOUT_CAUSE: template_record.OPERATOR_UPGRADE}
        if is_complete(observed)
        else {}
    )
    return _with_record(desired, {**cause, **_changed(observed)})


def applied(observed: ObservedState, desired: Manifest) -> MutableManifest:
    """Return the rendered StatefulSet; if the template is unchanged, with the record of the live one."""
    live = _workload(observed)
    if live is None or _same_template(live, desired):
        return _with_record(desired, {} if live is None else template_record.recorded(live))
    return _with_record(desired, _changed(observed))


def kept(observed: ObservedState, desired: Manifest) -> MutableManifest:
    """Return the live StatefulSet with the rendered values of the fields that restart no pod."""
    live = _workload(observed)
    if live is None:
        return dict(desired)
    metadata, live_metadata = desired["metadata"], live["metadata"]
    labels, annotations = (mapping(live_metadata.get(key)) for key in ("labels", "annotations"))
    return {
        **desired,
        "metadata": {
            **metadata,
            "labels": {key: labels[key] for key in metadata["labels"] if key in labels},
            "annotations": {
                key: annotations[key] for key in _OWN_ANNOTATIONS if key in annotations
            },
        },
        "spec": {
            **{key: desired["spec"][key] for key in _IMMEDIATE if key in desired["spec"]},
            **{
                key: live["spec"][key]
                for key in desired["spec"]
                if key in live["spec"] and key not in _IMMEDIATE
            },
            "updateStrategy": _strategy(live, desired),
            "template": _template(live),
        },
    }


def has_started(before: Manifest | None, after: Manifest | None) -> bool:
    """Return whether the operator has changed the pod template between two versions of the StatefulSet."""
    if before is None or after is None or _same_template(before, after):
        return False
    return template_record.is_operator_upgrade(after)


def _workload(observed: ObservedState) -> Manifest | None:
    """Return the StatefulSet, or the one that was deleted to be created again."""
    return observed.stateful_set or observed.recreated


def _takes_held_identity(observed: ObservedState, live: Manifest, desired: Manifest) -> bool:
    """Return whether running pods would get the identity of another agent, or of pods that have not ended yet."""
    is_changed = identity_of(live) != identity_of(desired)
    return is_changed and is_refused(observed) and live_replicas(observed) > 0


def _is_operator_change(
    observed: ObservedState, live: Manifest, desired: Manifest, connection: Connection
) -> bool:
    agent = observed.agent
    if agent is None or _same_template(live, desired):
        return False
    # The connection has its own decision, and takes the same slots.
    return not is_user_change(observed, agent) and not switches(
        observed.current_connection, connection
    )


def _same_template(live: Manifest, desired: Manifest) -> bool:
    return template_record.template_hash(live) == template_record.template_hash(desired)


def _is_requested(observed: ObservedState, live: Manifest) -> bool:
    known = template_record.recorded(live).get(kubernetes.ANNOTATION_UPGRADE, "")
    return bool(observed.upgrade_request) and observed.upgrade_request != known


def _changed(observed: ObservedState) -> dict[str, str]:
    """Return the record of a changed template: the request of a user, and the last template that worked."""
    live, record = _workload(observed) or {"metadata": {}}, {}
    known = template_record.last_good(live)
    if observed.stateful_set is not None and not is_restarting(observed.stateful_set):
        known = template_record.template_hash(live)
    if known:
        record[kubernetes.ANNOTATION_LAST_GOOD_TEMPLATE] = known
    if observed.upgrade_request:
        record[kubernetes.ANNOTATION_UPGRADE] = observed.upgrade_request
    return record


def _with_record(desired: Manifest, record: Mapping[str, str]) -> MutableManifest:
    annotations = {**desired["metadata"]["annotations"], **record}
    return with_desired_hash(
        {**desired, "metadata": {**desired["metadata"], "annotations": annotations}}
    )


def _strategy(live: Manifest, desired: Manifest) -> Any:
    """Return the update strategy; if no partition is set or wanted, the live one, which has the same meaning."""
    wanted, current = desired["spec"]["updateStrategy"], mapping(live["spec"].get("updateStrategy"))
    partitions = [
        mapping(item.get("rollingUpdate")).get("partition", 0) for item in (wanted, current)
    ]
    is_same = partitions == [0, 0] and current.get("type") == wanted["type"]
    return current if is_same else wanted


def _template(live: Manifest) -> MutableManifest:
    """Return the live template without the deprecated copy of serviceAccountName, which must have no manager."""
    template = live["spec"]["template"]
    spec = {key: item for key, item in template["spec"].items() if key != "serviceAccount"}
    return {**template, "spec": spec}
