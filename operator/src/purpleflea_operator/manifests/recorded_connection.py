"""The connection that live pods were given, read from their variables and volumes: `datadog` and `sockets` backwards.

Needed while the StatefulSet that remembers it is gone, as when it is made anew around its pods: another connection in
the new one would restart them all.

The connection that was last injected, kept as an annotation on the StatefulSet.

When the node agent disappears, agents keep what they have: an address where nobody listens costs nothing, a rolling
restart of trading agents does. And a way that is still offered is kept when another one is added. Where there is no
StatefulSet, `injected` reads it from the pods.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from purpleflea_contract import environment as env
from purpleflea_contract import kubernetes
from purpleflea_operator.datadog.detection.connection import Connection, Mode
from purpleflea_operator.datadog.detection.facts import Socket
from purpleflea_operator.manifests import datadog_sockets

Manifest = Mapping[str, Any]
Variables = Mapping[str, Manifest]

UNIX = "unix://"
_VOLUMES = {path: name for name, path in datadog_sockets.PATHS.items()}


def connection_from_pods(
    pods: Iterable[Manifest], *, traces_wanted: bool = True
) -> Connection | None:
    """What the youngest pod that tells of one has; None where none does.

    `traces_wanted` is what the agent's spec says: where it is False, variables do not tell whether traces had a way.
    """
    staying = [item for item in pods if "deletionTimestamp" not in item["metadata"]]
    # Parallel pods are of the same second; the name makes the choice the same each time.
    staying.sort(key=lambda item: (item["metadata"]["creationTimestamp"], item["metadata"]["name"]))
    found = (_of_pod(item.get("spec", {}), traces_wanted) for item in reversed(staying))
    return next((item for item in found if item is not None), None)


def _of_pod(spec: Manifest, traces_wanted: bool) -> Connection | None:
    for container in spec.get("containers", ()):
        if container["name"] == kubernetes.CONTAINER:
            variables = {item["name"]: item for item in container.get("env", ())}
            volumes = {item["name"]: item for item in spec.get("volumes", ())}
            return _by_socket(variables, volumes) or _by_port(variables, traces_wanted)
    return None


def _by_socket(variables: Variables, volumes: Mapping[str, Manifest]) -> Connection | None:
    metrics = _socket(_value(variables, env.DD_DOGSTATSD_URL), volumes)
    if metrics is None:
        return None
    is_csi = "csi" in volumes.get(datadog_sockets.VOLUME, {})
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
    return Socket(folder=volume.get("hostPath", {}).get("path", path), name=name)


def _by_port(variables: Variables, traces_wanted: bool) -> Connection | None:
    host = variables.get(env.DD_AGENT_HOST, {})
    if not host:
        return None
    is_off = _value(variables, env.DD_TRACE_ENABLED) == "false" and traces_wanted
    url = _value(variables, env.DD_TRACE_AGENT_URL)
    default = None if is_off else env.TRACE_PORT
    return Connection(
        mode=Mode.SERVICE if "value" in host else Mode.HOST_IP,
        host=host.get("value", ""),
        dogstatsd_port=int(_value(variables, env.DD_DOGSTATSD_PORT) or env.DOGSTATSD_PORT),
        apm_port=int(url.rpartition(":")[2]) if url else default,
    )


def _value(variables: Variables, name: str) -> str:
    return str(variables.get(name, {}).get("value", ""))


KEY = f"{kubernetes.GROUP}/datadog-connection"


def annotation(connection: Connection) -> dict[str, str]:
    """The annotation that remembers `connection`; empty where there is nothing to remember."""
    if connection.mode is Mode.NONE:
        return {}
    value = {
        "mode": connection.mode,
        "host": connection.host,
        "dogstatsd": connection.dogstatsd_port,
        "apm": connection.apm_port,
    }
    sockets = {
        "dogstatsdSocket": connection.dogstatsd_socket,
        "apmSocket": connection.apm_socket,
    }
    value |= {
        key: f"{item.folder}/{item.name}" for key, item in sockets.items() if item is not None
    }
    return {KEY: orjson.dumps(value).decode()}


def connection_from_annotation(stateful_set: Mapping[str, Any]) -> Connection | None:
    """The connection that a StatefulSet remembers; None where it remembers none, or nothing readable."""
    text = stateful_set.get("metadata", {}).get("annotations", {}).get(KEY, "")
    try:
        value = orjson.loads(text)
        return Connection(
            mode=Mode(value["mode"]),
            host=value["host"],
            dogstatsd_port=value["dogstatsd"],
            apm_port=value["apm"],
            dogstatsd_socket=_socket_from_path(value.get("dogstatsdSocket")),
            apm_socket=_socket_from_path(value.get("apmSocket")),
        )
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
        return None


def _socket_from_path(path: str | None) -> Socket | None:
    if path is None:
        return None
    folder, _, name = path.rpartition("/")
    return Socket(folder=folder, name=name)
