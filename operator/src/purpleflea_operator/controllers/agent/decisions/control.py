"""The writes of the control lane for one agent: the mode in its ConfigMap, and the mount refresh annotations. Pure.

The control lane decides from less than a whole pass: the resource, its ConfigMap and its pods. The ConfigMap that it
writes is the one that a pass would write, so neither of the two undoes a write of the other. The creation of a missing
ConfigMap is not planned here.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from purpleflea_contract import environment
from purpleflea_contract.control import Mode
from purpleflea_operator.controllers.agent.decisions import plan
from purpleflea_operator.controllers.agent.decisions.gather import (
    agent_pods,
    is_owned,
    owned_children,
    parsed,
    stop_mode,
    trading_state,
)
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    CONTROL_ANNOTATION,
    ChildId,
    ObservedState,
    pod,
)
from purpleflea_operator.controllers.agent.decisions.plan import Apply, RefreshConfigMount
from purpleflea_operator.controllers.agent.decisions.remembered import NOTHING, Remembered
from purpleflea_operator.controllers.agent.decisions.trading_mode import desired_mode, nudged_mode
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.manifests.config_map import config_map, control_text, with_mode
from purpleflea_operator.manifests.metadata import with_desired_hash
from purpleflea_operator.parsing import Manifest, mapping


def control_state(
    resource: dict[str, Any],
    cache: ObjectCache,
    *,
    now: datetime,
    remembered: Remembered = NOTHING,
) -> ObservedState:
    """Return the part of the observed state that the control lane uses."""
    metadata = resource["metadata"]
    key = NamespacedName(metadata["namespace"], metadata["name"])
    agent, invalid = parsed(resource)
    pods = tuple(pod(item) for item in agent_pods(cache, key))
    return ObservedState(
        agent=agent,
        generation=metadata["generation"],
        invalid=invalid,
        stop_mode=stop_mode(resource) if agent is None else None,
        children=owned_children(cache, key, metadata["uid"], kinds=(resources.CONFIG_MAP,)),
        pods=pods,
        now=now,
        trading=trading_state(resource, agent, pods, remembered, now),
    )


def control_actions(observed: ObservedState) -> tuple[Apply | RefreshConfigMount, ...]:
    """Return the writes that bring the desired mode to the pods, the ConfigMap first.

    The manifest has the UID of the ConfigMap, so that a ConfigMap that was deleted meanwhile is not created again.
    """
    mode, live = desired_mode(observed), live_config_map(observed.children)
    if mode is None or live is None:
        return ()
    if has_mode(live, mode):
        return tuple(plan.nudges(observed))
    agent = observed.agent
    wanted = with_mode(dict(live), mode) if agent is None else with_desired_hash(config_map(agent))
    metadata = {**wanted["metadata"], "uid": live["metadata"]["uid"]}
    return (Apply(manifest={**wanted, "metadata": metadata}), *plan.nudges(observed))


def live_config_map(children: Mapping[ChildId, Manifest]) -> Manifest | None:
    """Return the ConfigMap among the children; None if there is none."""
    return next((item for (kind, _), item in children.items() if kind == "ConfigMap"), None)


def has_mode(live: Manifest, mode: Mode) -> bool:
    """Return whether the control file in a ConfigMap has the mode."""
    return _control_file(live) == control_text(mode)


def same_mode(one: Manifest, other: Manifest) -> bool:
    """Return whether two ConfigMaps have the same control file."""
    return _control_file(one) == _control_file(other)


def requested_mode(resource: Manifest) -> Mode | None:
    """Return the mode in a spec that was not validated; None if it is not a mode."""
    mode = mapping(mapping(resource.get("spec")).get("trading")).get("mode", Mode.ACTIVE)
    return next((item for item in Mode if item == mode), None)


def mode_differs(resource: Manifest, config_maps: Iterable[Manifest]) -> bool:
    """Return whether the requested mode of an agent may differ from the mode in its ConfigMap.

    The check runs for each event, so it does not validate the spec. If the result is True, `control_actions` decides.
    """
    mode, uid = requested_mode(resource), resource["metadata"]["uid"]
    owned = (item for item in config_maps if is_owned(item, uid))
    return mode is not None and any(not has_mode(item, mode) for item in owned)


def lacks_refresh(manifest: Manifest, config_maps: Iterable[Manifest]) -> bool:
    """Return whether a pod lacks the mount refresh annotation for the mode in the ConfigMap of its agent."""
    metadata = manifest["metadata"]
    mode = next((mode for item in config_maps for mode in Mode if has_mode(item, mode)), None)
    if mode is None or "deletionTimestamp" in metadata:
        return False
    value = mapping(metadata.get("annotations")).get(CONTROL_ANNOTATION)
    if value is None:
        return mode is not Mode.ACTIVE
    return nudged_mode(str(value)) != mode


def _control_file(config_map: Manifest) -> object:
    return mapping(config_map.get("data")).get(environment.CONTROL_FILE)
