"""The kinds that the informer watches for agents, and the label selectors of their watches. Pure."""

from purpleflea_contract import kubernetes
from purpleflea_operator.controllers.agent.node_inventory import KINDS
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.parsing import Manifest, mapping

SELECTOR = f"{kubernetes.LABEL_MANAGED_BY}={kubernetes.MANAGED_BY}"
WATCHED = (
    resources.AGENT,
    *resources.CHILDREN,
    resources.POD,
    resources.CLAIM,
    resources.DAEMON_SET,
    *KINDS,
)
WORKLOADS = (resources.STATEFUL_SET, resources.POD)
"""Kinds whose objects have the identities of agents."""
HIDDEN_IF_REFUSED = (resources.DAEMON_SET, resources.NODE, resources.POD)
"""Kinds whose objects count as unknown if the API server refuses them for long. The connection of no agent changes."""
# One watch for the pods of agents and of node agents, because a selector cannot combine two labels with "or".
POD_SELECTOR = f"{kubernetes.LABEL_COMPONENT} in (agent,trading-agent)"


def selector_of(kind: ResourceKind) -> str:
    """Return the label selector of the watch of a kind; empty if all objects are watched."""
    if kind is resources.POD:
        return POD_SELECTOR
    return SELECTOR if kind.labelled else ""


def belongs_to_inventory(kind: ResourceKind, manifest: Manifest) -> bool:
    """Return whether an object belongs to the node inventory, and not to an agent."""
    labels = mapping(manifest["metadata"].get("labels"))
    is_ours = labels.get(kubernetes.LABEL_MANAGED_BY) == kubernetes.MANAGED_BY
    return kind in KINDS or (kind is resources.POD and not is_ours)
