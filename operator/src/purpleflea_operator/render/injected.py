"""The connection that live pods were given, read from their variables and volumes: `datadog` and `sockets` backwards.

Needed while the StatefulSet that remembers it is gone, as when it is made anew around its pods: another connection in
the new one would restart them all.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from purpleflea_contract import environment as env
from purpleflea_contract import kubernetes
from purpleflea_operator.detect.connection import Connection, Mode
from purpleflea_operator.detect.facts import Socket
from purpleflea_operator.model import parsing
from purpleflea_operator.model.parsing import rows, table, text
from purpleflea_operator.render import sockets

Manifest = Mapping[str, Any]
Variables = Mapping[str, Manifest]

UNIX = "unix://"
_VOLUMES = {path: name for name, path in sockets.PATHS.items()}


def connection(pods: Iterable[Manifest], *, traces_wanted: bool = True) -> Connection | None:
    """What the youngest pod that tells of one has; None where none does.

    `traces_wanted` is what the agent's spec says: where it is False, variables do not tell whether traces had a way.
    """
    staying = [item for item in pods if "deletionTimestamp" not in item["metadata"]]
    # Parallel pods are of the same second; the name makes the choice the same each time.
    staying.sort(
        key=lambda item: (text(item["metadata"].get("creationTimestamp")), item["metadata"]["name"])
    )
    found = (_of_pod(table(item.get("spec")), traces_wanted) for item in reversed(staying))
    return next((item for item in found if item is not None), None)


def _of_pod(spec: Manifest, traces_wanted: bool) -> Connection | None:
    for container in rows(spec.get("containers")):
        if container.get("name") == kubernetes.CONTAINER:
            variables = {text(item.get("name")): item for item in rows(container.get("env"))}
            volumes = {text(item.get("name")): item for item in rows(spec.get("volumes"))}
            return _by_socket(variables, volumes) or _by_port(variables, traces_wanted)
    return None


def _by_socket(variables: Variables, volumes: Mapping[str, Manifest]) -> Connection | None:
    metrics = _socket(_value(variables, env.DD_DOGSTATSD_URL), volumes)
    if metrics is None:
        return None
    is_csi = "csi" in volumes.get(sockets.VOLUME, {})
    return Connection(
        mode=Mode.CSI if is_csi else Mode.SOCKET,
        dogstatsd_socket=metrics,
        apm_socket=_socket(_value(variables, env.DD_TRACE_AGENT_URL), volumes),
    )


def _socket(url: str, volumes: Mapping[str, Manifest]) -> Socket | None:
    path, _, name = url.removeprefix(UNIX).rpartition("/")
    volume = volumes.get(_VOLUMES.get(path, ""))
    if not url.startswith(UNIX) or volume is None:
        return None
    # Where the CSI driver has its folders is its own affair: they are called by their place in the pod.
    folder = parsing.path(table(volume.get("hostPath")).get("path", path))
    is_usable = folder is not None and parsing.socket_name(name) is not None
    return Socket(folder=folder, name=name) if folder is not None and is_usable else None


def _by_port(variables: Variables, traces_wanted: bool) -> Connection | None:
    host = variables.get(env.DD_AGENT_HOST, {})
    if not host:
        return None
    is_off = _value(variables, env.DD_TRACE_ENABLED) == "false" and traces_wanted
    url = _value(variables, env.DD_TRACE_AGENT_URL)
    default = None if is_off else env.TRACE_PORT
    metrics = parsing.port(_value(variables, env.DD_DOGSTATSD_PORT) or env.DOGSTATSD_PORT)
    traces = parsing.port(url.rpartition(":")[2]) if url else default
    is_usable = "value" not in host or parsing.name(host["value"]) is not None
    if metrics is None or (url and traces is None) or not is_usable:
        # Variables that the operator did not write: they say nothing about the connection.
        return None
    return Connection(
        mode=Mode.SERVICE if "value" in host else Mode.HOST_IP,
        host=host.get("value", ""),
        dogstatsd_port=metrics,
        apm_port=traces,
    )


def _value(variables: Variables, name: str) -> str:
    return str(variables.get(name, {}).get("value", ""))
