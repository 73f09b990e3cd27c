"""Files that configure an agent: settings.json and control.json.

A change of settings.json restarts the agents, because it is stored in the pod template. control.json is stored in the
ConfigMap, so a change of the trading mode restarts no agent.
"""

from purpleflea_contract import environment
from purpleflea_contract.control import Control, Mode
from purpleflea_operator.manifests.metadata import (
    CHILD_LABEL_KEYS,
    Agent,
    child_manifest,
    with_desired_hash,
)
from purpleflea_operator.parsing import MutableManifest


def settings_text(agent: Agent) -> str:
    """Return the content of settings.json: the required fields, and those that differ from their defaults.

    The agent applies the same defaults, which never change within an API version. Without them, a new field in a later
    version of the operator does not change the pod template.
    """
    return agent.spec.settings().model_dump_json(by_alias=True, exclude_defaults=True)


def control_text(mode: Mode) -> str:
    """Return the content of control.json. It has no generation, so that only a change of the mode changes it."""
    return Control(mode=mode).model_dump_json(by_alias=True)


def with_mode(live: MutableManifest, mode: Mode) -> MutableManifest:
    """Return an existing ConfigMap with another mode, for an agent whose spec is invalid and cannot be rendered."""
    metadata = live["metadata"]
    own_labels = {
        key: value for key, value in metadata["labels"].items() if key in CHILD_LABEL_KEYS
    }
    frame = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": own_labels,
            "ownerReferences": metadata["ownerReferences"],
        },
    }
    return with_desired_hash({**frame, "data": {environment.CONTROL_FILE: control_text(mode)}})


def config_map(agent: Agent) -> MutableManifest:
    """Return the ConfigMap of the control file.

    The settings are in the pod template instead. If an agent restarts during a rollout, or while a rollout is paused,
    it must start with the settings of its own revision, because those of the next revision may make it fail.
    """
    return {
        **child_manifest(agent, "v1", "ConfigMap"),
        "data": {environment.CONTROL_FILE: control_text(agent.spec.trading.mode)},
    }
