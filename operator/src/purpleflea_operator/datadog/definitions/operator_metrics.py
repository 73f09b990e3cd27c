"""Metrics that the operator exports for monitors, with their names in Datadog.

The node agent scrapes the operator with the check openmetrics, in the namespace `purpleflea_operator`. A series per
agent would exceed the number of series that the check accepts, so each series describes the agents of one env and
service. Their tags are not named env and service, because these are the tags of the operator's own pod.
"""

from purpleflea_operator.datadog.definitions.parameters import Parameters

NAMESPACE = "purpleflea_operator"
FLEET_ENV = "fleet_env"
FLEET_SERVICE = "fleet_service"
CLUSTER = "kube_cluster_name"
"""Tag that the node agent adds to everything that it scrapes."""
AGENTS = "fleet_agents"
LONGEST_HALT = "fleet_longest_halt_seconds"


def of_fleet(name: str, parameters: Parameters) -> str:
    """Return the query of a metric about the fleet, by cluster."""
    filters = f"{FLEET_ENV}:{parameters.env},{FLEET_SERVICE}:{parameters.service}"
    return f"max:{NAMESPACE}.{name}{{{filters}}} by {{{CLUSTER}}}"
