"""All children of an agent, each with the hash of what it should be."""

from purpleflea_operator.datadog.detection.connection import Connection
from purpleflea_operator.manifests.config_map import config_map
from purpleflea_operator.manifests.metadata import Agent, Defaults, hashed
from purpleflea_operator.manifests.network_policy import network_policy
from purpleflea_operator.manifests.pod_disruption_budget import disruption_budget
from purpleflea_operator.manifests.service_account import service_account
from purpleflea_operator.manifests.stateful_set import stateful_set
from purpleflea_operator.parsing import MutableManifest


def children(
    agent: Agent, defaults: Defaults, connection: Connection
) -> tuple[MutableManifest, ...]:
    """The manifests of all children, in the order in which they are applied."""
    found = [config_map(agent), *service_account(agent)]
    if agent.spec.network.policy == "Enforce":
        found.append(network_policy(agent, connection))
    found += [*disruption_budget(agent), stateful_set(agent, defaults, connection)]
    return tuple(hashed(item) for item in found)
