"""All children of an agent, each with the hash of what it should be."""

from purpleflea_operator.detect.connection import Connection
from purpleflea_operator.render.config import config_map
from purpleflea_operator.render.disruption import disruption_budget
from purpleflea_operator.render.identity import Agent, Defaults, Manifest, hashed
from purpleflea_operator.render.network import network_policy
from purpleflea_operator.render.service_account import service_account
from purpleflea_operator.render.workload import stateful_set


def children(agent: Agent, defaults: Defaults, connection: Connection) -> tuple[Manifest, ...]:
    """The manifests of all children, in the order in which they are applied."""
    found = [config_map(agent), *service_account(agent)]
    if agent.spec.network.policy == "Enforce":
        found.append(network_policy(agent, connection))
    found += [*disruption_budget(agent), stateful_set(agent, defaults, connection)]
    return tuple(hashed(item) for item in found)
