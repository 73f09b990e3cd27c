"""The ConfigMap: settings.json (a change restarts the agents) and control.json (a change does not)."""

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
    """The ConfigMap that the agents mount."""
    return {
        **manifest(agent, "v1", "ConfigMap"),
        "data": {
            environment.SETTINGS_FILE: settings_text(agent),
            environment.CONTROL_FILE: control_text(agent),
        },
    }
