"""The question whether a change of the connection to Datadog restarts the pods. Pure."""

from purpleflea_operator.datadog.detection.connection import NO_CONNECTION, Connection
from purpleflea_operator.manifests import datadog_sockets
from purpleflea_operator.manifests.datadog_env import receivers


def switches(current: Connection | None, best: Connection) -> bool:
    """Return whether a pod with `current` has to restart for `best`."""
    return _injected(current or NO_CONNECTION) != _injected(best)


def _injected(item: Connection) -> tuple[object, ...]:
    return receivers(item), datadog_sockets.volumes(item)
