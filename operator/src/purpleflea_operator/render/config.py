"""What an agent is told by files: settings.json (a change restarts the agents) and control.json (a change does not)."""

from purpleflea_contract import environment
from purpleflea_contract.control import Control
from purpleflea_operator.render.identity import Agent, Manifest, manifest


def settings_text(agent: Agent) -> str:
    """settings.json of the agent."""
    return agent.spec.settings().model_dump_json(by_alias=True)


def control_text(agent: Agent) -> str:
    """control.json of the agent. It carries no generation: only a change of mode may change it."""
    return Control(mode=agent.spec.trading.mode).model_dump_json(by_alias=True)


def config_map(agent: Agent) -> Manifest:
    """The ConfigMap of the control file.

    The settings are no part of it: they lie in the pod template. An agent that starts anew while a rollout is under
    way, or stuck, has to start with what its own revision says, not with what the next one may die of.
    """
    return {
        **manifest(agent, "v1", "ConfigMap"),
        "data": {environment.CONTROL_FILE: control_text(agent)},
    }
