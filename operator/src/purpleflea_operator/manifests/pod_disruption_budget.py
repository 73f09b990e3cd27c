"""The PodDisruptionBudget of an agent: a drain evicts at most one pod at a time.

An agent with a single identity has no budget, because the budget would not limit anything. Pods that are not ready may
always be evicted, so that a drain does not wait for an agent that never becomes ready.
"""

from purpleflea_operator.manifests.metadata import Agent, child_manifest, selector
from purpleflea_operator.parsing import MutableManifest


def pod_disruption_budget(agent: Agent) -> list[MutableManifest]:
    """Return the PodDisruptionBudget if there is more than one identity, else an empty list."""
    if agent.spec.replicas < 2:
        return []
    return [
        {
            **child_manifest(agent, "policy/v1", "PodDisruptionBudget"),
            "spec": {
                "maxUnavailable": 1,
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
                "selector": {"matchLabels": selector(agent.name)},
            },
        }
    ]
