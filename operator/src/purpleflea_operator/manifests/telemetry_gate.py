"""The init container that keeps an agent from trading without telemetry: it waits for the node agent of its own node.

It probes the addresses that the agent will use. It does not need the operator or the API server, so an agent can
restart while both are unavailable.
"""

from purpleflea_contract import kubernetes
from purpleflea_operator.datadog.detection.connection import Connection
from purpleflea_operator.manifests import datadog_env, datadog_sockets
from purpleflea_operator.manifests.metadata import Agent, Defaults
from purpleflea_operator.manifests.security_context import container_security_context
from purpleflea_operator.parsing import MutableManifest

RESOURCES = {
    "requests": {"cpu": "10m", "memory": "32Mi"},
    "limits": {"cpu": "200m", "memory": "64Mi"},
}


def init_containers(
    agent: Agent, defaults: Defaults, connection: Connection
) -> list[MutableManifest]:
    """Return the init container if whenMissing is Hold and Datadog is not disabled, else an empty list.

    A Datadog agent in the same pod may start only after all init containers, so it is not waited for.
    """
    datadog = agent.spec.datadog
    if datadog.when_missing != "Hold" or datadog.connection in ("Disabled", "Sidecar"):
        return []
    return [
        {
            "name": kubernetes.HOLD_CONTAINER,
            "image": defaults.image,
            "imagePullPolicy": defaults.image_pull_policy,
            "command": ["python", "-m", kubernetes.HOLD_MODULE],
            "env": [*datadog_env.local_configuration(), *datadog_env.receivers(connection)],
            "resources": {key: dict(value) for key, value in RESOURCES.items()},
            "securityContext": container_security_context(),
            "volumeMounts": datadog_sockets.mounts(connection),
        }
    ]
