"""What an agent is told by files: settings.json (a change restarts the agents) and control.json (a change does not)."""

from purpleflea_contract import environment
from purpleflea_contract.control import Control, Mode
from purpleflea_operator.manifests.metadata import LABELS, Agent, hashed, manifest
from purpleflea_operator.parsing import MutableManifest


def settings_text(agent: Agent) -> str:
    """settings.json of the agent."""
    return agent.spec.settings().model_dump_json(by_alias=True)


def _control(mode: Mode) -> str:
    """control.json. It carries no generation: only a change of mode may change it."""
    return Control(mode=mode).model_dump_json(by_alias=True)


def with_mode(live: MutableManifest, mode: Mode) -> MutableManifest:
    """A ConfigMap as it was made, but for the mode: for a spec that cannot be rendered."""
    metadata = live["metadata"]
    ours = {key: text for key, text in metadata["labels"].items() if key in LABELS}
    frame = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": ours,
            "ownerReferences": metadata["ownerReferences"],
        },
    }
    return hashed({**frame, "data": {environment.CONTROL_FILE: _control(mode)}})


def config_map(agent: Agent) -> MutableManifest:
    """The ConfigMap of the control file.

    The settings are no part of it: they lie in the pod template. An agent that starts anew while a rollout is under
    way, or stuck, has to start with what its own revision says, not with what the next one may die of.
    """
    return {
        **manifest(agent, "v1", "ConfigMap"),
        "data": {environment.CONTROL_FILE: _control(agent.spec.trading.mode)},
    }
