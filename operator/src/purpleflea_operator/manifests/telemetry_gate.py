"""The init container that keeps an agent from trading unheard: it waits for the node agent of its own node.

It asks by the same addresses as the agent will, so it needs neither the operator nor the API server: an agent that is
restarted while both are away comes back.
"""

from purpleflea_contract import kubernetes
from purpleflea_operator.datadog.detection.connection import Connection
from purpleflea_operator.manifests import datadog_env, datadog_sockets
from purpleflea_operator.manifests.metadata import Agent, Defaults
from purpleflea_operator.parsing import MutableManifest

RESOURCES = {
    "requests": {"cpu": "10m", "memory": "32Mi"},
    "limits": {"cpu": "200m", "memory": "64Mi"},
}


def init_containers(
    agent: Agent, defaults: Defaults, connection: Connection
) -> list[MutableManifest]:
    """The init container, where the spec asks for it."""
    wanted = agent.spec.datadog
    if wanted.when_missing != "Hold" or wanted.connection == "Disabled":
        return []
    return [
        {
            "name": kubernetes.HOLD_CONTAINER,
            "image": defaults.image,
            "imagePullPolicy": defaults.image_pull_policy,
            "command": ["python", "-m", kubernetes.HOLD_MODULE],
            "env": [*datadog_env.local_configuration(), *datadog_env.receivers(connection)],
            "resources": {key: dict(value) for key, value in RESOURCES.items()},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": datadog_sockets.mounts(connection),
        }
    ]
