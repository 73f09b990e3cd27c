"""All child objects of an agent, each with the hash of its desired state as an annotation."""

from purpleflea_operator.datadog.detection.connection import Connection
from purpleflea_operator.manifests import collection
from purpleflea_operator.manifests.config_map import config_map
from purpleflea_operator.manifests.metadata import Agent, Defaults, with_desired_hash
from purpleflea_operator.manifests.network_policy import network_policy
from purpleflea_operator.manifests.pod_disruption_budget import pod_disruption_budget
from purpleflea_operator.manifests.service_account import service_account
from purpleflea_operator.manifests.stateful_set import stateful_set
from purpleflea_operator.parsing import MutableManifest


def children(
    agent: Agent, defaults: Defaults, connection: Connection
) -> tuple[MutableManifest, ...]:
    """Return the manifests of all children, in the sequence in which they are applied."""
    manifests = [config_map(agent), *service_account(agent)]
    if agent.spec.network.policy == "Enforce":
        manifests.append(network_policy(agent, defaults, connection))
    manifests += pod_disruption_budget(agent)
    if defaults.uses_instrumentation:
        manifests += collection.instrumentation(agent)
    manifests.append(stateful_set(agent, defaults, connection))
    return tuple(with_desired_hash(item) for item in manifests)
