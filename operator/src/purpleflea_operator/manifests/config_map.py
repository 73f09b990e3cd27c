"""Files that configure an agent: settings.json and control.json.

A change of settings.json restarts the agents, because it is stored in the pod template. control.json is stored in the
ConfigMap, so a change of the trading mode restarts no agent.
"""

import functools

from pydantic import ValidationError

from purpleflea_contract import environment, kubernetes
from purpleflea_contract.control import Control
from purpleflea_operator.manifests.metadata import (
    CHILD_LABEL_KEYS,
    Agent,
    child_manifest,
    child_metadata,
    with_desired_hash,
)
from purpleflea_operator.parsing import Manifest, MutableManifest, mapping

CONTROLS = 64
"""Control files that are kept parsed. There are few different ones, and each watch event reads one."""


def settings_text(agent: Agent) -> str:
    """Return the content of settings.json: the required fields, and those that differ from their defaults.

    The agent applies the same defaults, which never change within an API version. Without them, a new field in a later
    version of the operator does not change the pod template.
    """
    return agent.spec.settings().model_dump_json(by_alias=True, exclude_defaults=True)


@functools.lru_cache(maxsize=CONTROLS)
def control_text(control: Control) -> str:
    """Return the content of control.json. It has no generation, so that only a change of the mode changes it."""
    return control.model_dump_json(by_alias=True, exclude=None if control.flatten else {"flatten"})


def control_of(live: Manifest) -> Control | None:
    """Return the content of control.json in a ConfigMap; None if it cannot be read."""
    text = mapping(live.get("data")).get(environment.CONTROL_FILE)
    return _control(text) if isinstance(text, str) else None


@functools.lru_cache(maxsize=CONTROLS)
def _control(text: str) -> Control | None:
    try:
        return Control.model_validate_json(text)
    except ValidationError:
        return None


def is_halted(live: Manifest) -> bool:
    """Return whether a PurpleFleaHalt requested the mode in a ConfigMap."""
    annotations = mapping(live["metadata"].get("annotations"))
    return annotations.get(kubernetes.ANNOTATION_HALTED) == "true"


def with_control(live: MutableManifest, control: Control, *, halted: bool) -> MutableManifest:
    """Return an existing ConfigMap with another mode, for an agent whose spec is invalid and cannot be rendered."""
    metadata = live["metadata"]
    own_labels = {
        key: value for key, value in metadata.get("labels", {}).items() if key in CHILD_LABEL_KEYS
    }
    frame = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": own_labels,
            "ownerReferences": metadata["ownerReferences"],
            **_halted_annotation(halted=halted),
        },
    }
    return with_desired_hash({**frame, "data": {environment.CONTROL_FILE: control_text(control)}})


def minimal(metadata: Manifest, control: Control, *, halted: bool) -> MutableManifest:
    """Return a new ConfigMap for an agent whose spec is invalid; `metadata` is that of the agent resource."""
    frame = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            **child_metadata(metadata["namespace"], metadata["name"], metadata["uid"]),
            **_halted_annotation(halted=halted),
        },
    }
    return {**frame, "data": {environment.CONTROL_FILE: control_text(control)}}


def config_map(agent: Agent) -> MutableManifest:
    """Return the ConfigMap of the control file.

    The settings are in the pod template instead. If an agent restarts during a rollout, or while a rollout is paused,
    it must start with the settings of its own revision, because those of the next revision may make it fail.
    """
    frame = child_manifest(agent, "v1", "ConfigMap")
    control = agent.control or Control(mode=agent.spec.trading.mode)
    return {
        **frame,
        "metadata": {**frame["metadata"], **_halted_annotation(halted=agent.is_halted)},
        "data": {environment.CONTROL_FILE: control_text(control)},
    }


def _halted_annotation(*, halted: bool) -> MutableManifest:
    return {"annotations": {kubernetes.ANNOTATION_HALTED: "true"}} if halted else {}
