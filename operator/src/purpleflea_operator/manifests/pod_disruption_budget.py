"""The PodDisruptionBudget: at most one identity at a time is taken down by a drain.

None for a single identity, where it would say nothing. Identities that are not ready may always be taken down: a drain
must not wait for an agent that will never come up.
"""

from purpleflea_operator.manifests.metadata import Agent, manifest, selector
from purpleflea_operator.parsing import MutableManifest


def disruption_budget(agent: Agent) -> list[MutableManifest]:
    """The PodDisruptionBudget, where there is more than one identity."""
    if agent.spec.replicas < 2:
        return []
    return [
        {
            **manifest(agent, "policy/v1", "PodDisruptionBudget"),
            "spec": {
                "maxUnavailable": 1,
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
                "selector": {"matchLabels": selector(agent.name)},
            },
        }
    ]
