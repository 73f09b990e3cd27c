"""The writes of the control lane for one agent: the mode in its ConfigMap, and the mount refresh annotations. Pure.

The control lane decides from less than a whole pass: the resource, its ConfigMap and its pods. The ConfigMap that it
writes is the one that a pass would write, so neither of the two undoes a write of the other. A missing ConfigMap is
created here only if agents run that must not trade.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from purpleflea_contract import environment, kubernetes
from purpleflea_contract.control import Control, Mode, strongest
from purpleflea_operator.controllers.agent.decisions import plan
from purpleflea_operator.controllers.agent.decisions.effective_mode import (
    halts_of,
    live_config_map,
    with_mode,
)
from purpleflea_operator.controllers.agent.decisions.gather import (
    agent_pods,
    is_owned,
    owned_children,
    parsed,
    stop_mode,
)
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    CONTROL_ANNOTATION,
    ObservedState,
    pod,
)
from purpleflea_operator.controllers.agent.decisions.plan import (
    Apply,
    Create,
    RefreshConfigMount,
)
from purpleflea_operator.controllers.agent.decisions.remembered import NOTHING, Remembered
from purpleflea_operator.controllers.agent.decisions.trading_mode import (
    controlled,
    desired_control,
    is_halted,
    is_nudged,
    is_stronger,
)
from purpleflea_operator.controllers.halt.decisions.halt import NO_HALTS, HaltView
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.manifests import config_map as config_maps
from purpleflea_operator.manifests.config_map import (
    config_map,
    control_of,
    control_text,
    with_control,
)
from purpleflea_operator.manifests.metadata import with_desired_hash
from purpleflea_operator.parsing import Manifest, mapping, resource_version

ControlActions = tuple[Create | Apply | RefreshConfigMount, ...]
"""The writes of the control lane for one agent, in the sequence in which they are sent."""

_KINDS = (resources.CONFIG_MAP, resources.STATEFUL_SET)


def control_state(
    resource: dict[str, Any],
    cache: ObjectCache,
    *,
    now: datetime,
    remembered: Remembered = NOTHING,
    halts: HaltView = NO_HALTS,
) -> ObservedState:
    """Return the part of the observed state that the control lane uses."""
    metadata = resource["metadata"]
    key = NamespacedName(metadata["namespace"], metadata["name"])
    agent, invalid = parsed(resource)
    pods = tuple(pod(item) for item in agent_pods(cache, key))
    observed = ObservedState(
        agent=agent,
        generation=metadata["generation"],
        invalid=invalid,
        metadata=metadata,
        stop_mode=stop_mode(resource) if agent is None else None,
        children=owned_children(cache, key, metadata["uid"], kinds=_KINDS),
        pods=pods,
        now=now,
    )
    return with_mode(observed, resource, halts, now=now, remembered=remembered)


def control_actions(observed: ObservedState, unsettled: Manifest | None = None) -> ControlActions:
    """Return the writes that bring the desired mode to the pods, the ConfigMap first.

    The manifest has the UID of the ConfigMap, so that a ConfigMap that was deleted meanwhile is not created again. A
    write that loosens the mode has its version too, so that it cannot undo a newer halt if an admission webhook holds
    it. A halt is written over any version. `unsettled` is a write of a weaker mode that may still be processed. A halt
    is then written even if the ConfigMap has the mode, because the version of that write must be outdated.
    """
    control, live = desired_control(observed), live_config_map(observed)
    if control is None:
        return ()
    if live is None:
        missing = plan.missing_config_map(observed)
        return (*missing, *plan.nudges(observed)) if missing else ()
    is_open = unsettled is not None and _may_loosen(unsettled, control, live)
    if _control_file(live) == control_text(control) and not is_open:
        return tuple(plan.nudges(observed))
    agent = observed.agent
    wanted = (
        with_control(dict(live), control, halted=is_halted(observed))
        if agent is None
        else with_desired_hash(config_map(controlled(observed, agent)))
    )
    version = live["metadata"]["resourceVersion"]
    metadata = {**wanted["metadata"], "uid": live["metadata"]["uid"]}
    if is_open:
        # The version of the object changes only if a field does.
        metadata["annotations"] = {
            **metadata["annotations"],
            kubernetes.ANNOTATION_SUPERSEDES: version,
        }
    if config_maps.is_halted(live) and not is_halted(observed):
        # An apply without the annotation would not remove it from a ConfigMap that a POST created.
        metadata["annotations"] = {
            **metadata["annotations"],
            kubernetes.ANNOTATION_HALTED: "false",
        }
    if _is_loosening(control, live):
        metadata["resourceVersion"] = version
    return (Apply(manifest={**wanted, "metadata": metadata}), *plan.nudges(observed))


def versioned_actions(observed: ObservedState, unsettled: Manifest | None = None) -> ControlActions:
    """Return the writes of `control_actions`, each rejected by the API server if the cached ConfigMap is outdated."""
    live = live_config_map(observed)
    version = {} if live is None else {"resourceVersion": live["metadata"]["resourceVersion"]}
    return tuple(
        Apply(manifest={**item.manifest, "metadata": {**item.manifest["metadata"], **version}})
        if isinstance(item, Apply)
        else item
        for item in control_actions(observed, unsettled)
    )


def tightening_actions(
    observed: ObservedState, unsettled: Manifest | None = None
) -> ControlActions:
    """Return the writes that an agent needs although its resource may be outdated: at most a halt.

    A stop cannot be undone, so it waits for the newest version. A mode that is not Active is never replaced.
    """
    desired, live = desired_control(observed), live_config_map(observed)
    if desired is None or desired.mode is Mode.ACTIVE:
        return ()
    current = None if live is None else control_of(live)
    if current == desired:
        return versioned_actions(observed, unsettled)
    if current is not None and current.mode is not Mode.ACTIVE:
        return ()
    return versioned_actions(replace(observed, is_unconfirmed=True), unsettled)


def _is_loosening(control: Control, live: Manifest) -> bool:
    """Return whether a control file may allow more than the one in a ConfigMap."""
    current = control_of(live)
    is_weaker = current is not None and is_stronger(current, control)
    return control.mode is Mode.ACTIVE or is_weaker


def _may_loosen(unsettled: Manifest, control: Control, live: Manifest) -> bool:
    """Return whether a write over a version can still be stored, and would allow more than a control file."""
    sent = control_of(unsettled)
    is_current = _version(unsettled) >= _version(live)
    return is_current and sent is not None and is_stronger(control, sent)


def weaker_of(known: Manifest | None, sent: Manifest) -> Manifest:
    """Return the write, of two that may still be processed, that allows more if it is stored."""
    if known is None or _version(known) < _version(sent):
        return sent
    one, other = control_of(known), control_of(sent)
    return known if one and other and is_stronger(other, one) else sent


def _version(manifest: Manifest) -> int:
    return resource_version(manifest["metadata"].get("resourceVersion"))


def same_mode(one: Manifest, other: Manifest) -> bool:
    """Return whether two ConfigMaps have the same control file."""
    return _control_file(one) == _control_file(other)


def requested_mode(resource: Manifest) -> Mode | None:
    """Return the mode in a spec that was not validated; None if it is not a mode."""
    mode = mapping(mapping(resource.get("spec")).get("trading")).get("mode", Mode.ACTIVE)
    return next((item for item in Mode if item == mode), None)


def requested_control(resource: Manifest, halts: HaltView = NO_HALTS) -> Control | None:
    """Return the control file that a spec, which was not validated, and the halts request; None if they do not."""
    applied = halts_of(resource, halts)
    mode = strongest(requested_mode(resource), *(item.mode for item in applied))
    if mode is None:
        return None
    flatten = mode is Mode.STOPPED and any(item.flatten for item in applied)
    return Control(mode=mode, flatten=flatten)


def mode_differs(
    resource: Manifest,
    config_maps: Iterable[Manifest],
    halts: HaltView = NO_HALTS,
    *,
    has_pods: bool = False,
) -> bool:
    """Return whether the control file that an agent should have may differ from the one in its ConfigMap.

    If pods run without a ConfigMap, they may have another one, too. The check runs for each event, so it does not
    validate the spec. If the result is True, `control_actions` decides.
    """
    control, uid = requested_control(resource, halts), resource["metadata"]["uid"]
    if control is None:
        return False
    wanted = control_text(control)
    owned = [item for item in config_maps if is_owned(item, uid)]
    if not owned:
        return has_pods and control.mode is not Mode.ACTIVE
    return any(_control_file(item) != wanted for item in owned)


def lacks_refresh(manifest: Manifest, config_maps: Iterable[Manifest]) -> bool:
    """Return whether a pod lacks the mount refresh annotation for the mode in the ConfigMap of its agent."""
    metadata = manifest["metadata"]
    controls = (control_of(item) for item in config_maps)
    control = next((item for item in controls if item is not None), None)
    if control is None or "deletionTimestamp" in metadata:
        return False
    value = mapping(metadata.get("annotations")).get(CONTROL_ANNOTATION)
    if value is None:
        return control.mode is not Mode.ACTIVE
    return not is_nudged(str(value), control)


def _control_file(config_map: Manifest) -> object:
    return mapping(config_map.get("data")).get(environment.CONTROL_FILE)
