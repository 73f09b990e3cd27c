"""Read the connection that was last injected, from the annotation of the StatefulSet or from live pods.

Agents keep their connection if the node agent disappears or if another connection is added, because a rolling restart
of trading agents costs more than an address without a receiver. The connection is therefore recorded as an annotation
of the StatefulSet.

While a StatefulSet is recreated around its pods, the annotation is gone. Then the connection is read from the variables
and volumes of the pods, which is the inverse of `datadog_env` and `datadog_sockets`. Another connection in the new
StatefulSet would restart all agents.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from purpleflea_contract import environment as env
from purpleflea_contract import kubernetes
from purpleflea_operator import parsing
from purpleflea_operator.datadog.detection.connection import (
    LOOPBACK,
    Connection,
    ConnectionMode,
)
from purpleflea_operator.datadog.detection.facts import Socket
from purpleflea_operator.manifests import datadog_sockets
from purpleflea_operator.parsing import Manifest, mapping, mappings, text

Variables = Mapping[str, Manifest]

UNIX = "unix://"
_VOLUMES = {path: name for name, path in datadog_sockets.PATHS.items()}


def connection_from_pods(
    pods: Iterable[Manifest], *, traces_enabled: bool = True
) -> Connection | None:
    """Return the connection of the newest pod that has one; None if no pod has one.

    `traces_enabled` is the value of the agent's spec. If it is False, the variables do not show if the connection
    supported traces, so the default port is assumed.
    """
    running = [item for item in pods if "deletionTimestamp" not in item["metadata"]]
    # Pods that were created in the same second are sorted by name, so that the result is always the same.
    running.sort(
        key=lambda item: (text(item["metadata"].get("creationTimestamp")), item["metadata"]["name"])
    )
    connections = (_of_pod(mapping(item.get("spec")), traces_enabled) for item in reversed(running))
    return next((item for item in connections if item is not None), None)


def has_connection(pod: Manifest) -> bool:
    """Return whether a pod, also one that is being deleted, sends telemetry to a node agent."""
    return _of_pod(mapping(pod.get("spec")), traces_enabled=True) is not None


def _of_pod(spec: Manifest, traces_enabled: bool) -> Connection | None:
    for container in mappings(spec.get("containers")):
        if container.get("name") == kubernetes.CONTAINER:
            variables = {text(item.get("name")): item for item in mappings(container.get("env"))}
            volumes = {text(item.get("name")): item for item in mappings(spec.get("volumes"))}
            return _by_socket(variables, volumes) or _by_port(variables, traces_enabled)
    return None


def connection_from_variables(environment: Iterable[Manifest]) -> Connection | None:
    """Return the connection through ports that the variables of a pod describe; None if there is none."""
    return _by_port({text(item.get("name")): item for item in environment}, traces_enabled=True)


def _by_socket(variables: Variables, volumes: Mapping[str, Manifest]) -> Connection | None:
    metrics = _socket(_value(variables, env.DD_DOGSTATSD_URL), volumes)
    if metrics is None:
        return None
    is_csi = "csi" in volumes.get(datadog_sockets.VOLUME, {})
    return Connection(
        mode=ConnectionMode.CSI if is_csi else ConnectionMode.SOCKET,
        dogstatsd_socket=metrics,
        apm_socket=_socket(_value(variables, env.DD_TRACE_AGENT_URL), volumes),
    )


def _socket(url: str, volumes: Mapping[str, Manifest]) -> Socket | None:
    path, _, name = url.removeprefix(UNIX).rpartition("/")
    volume = volumes.get(_VOLUMES.get(path, ""))
    if not url.startswith(UNIX) or volume is None:
        return None
    # The folders of the CSI driver on the node are not known, so their path in the pod is used instead.
    folder = parsing.path(mapping(volume.get("hostPath")).get("path", path))
    is_valid = folder is not None and parsing.socket_name(name) is not None
    return Socket(folder=folder, name=name) if folder is not None and is_valid else None


def _by_port(variables: Variables, traces_enabled: bool) -> Connection | None:
    host = variables.get(env.DD_AGENT_HOST, {})
    if not host:
        return None
    tracer_is_off = _value(variables, env.DD_TRACE_ENABLED) == "false" and traces_enabled
    # Pods of earlier versions have the port in a URL.
    configured = (
        _value(variables, env.DD_TRACE_AGENT_PORT)
        or _value(variables, env.DD_TRACE_AGENT_URL).rpartition(":")[2]
    )
    default = None if tracer_is_off else env.TRACE_PORT
    metrics = parsing.port(_value(variables, env.DD_DOGSTATSD_PORT) or env.DOGSTATSD_PORT)
    traces = parsing.port(configured) if configured else default
    is_valid = "value" not in host or parsing.host(host["value"]) is not None
    if metrics is None or (configured and traces is None) or not is_valid:
        # The operator did not write these variables, so they do not show the connection.
        return None
    is_sidecar = host.get("value") == LOOPBACK
    by_name = ConnectionMode.SIDECAR if is_sidecar else ConnectionMode.SERVICE
    return Connection(
        mode=by_name if "value" in host else ConnectionMode.HOST_IP,
        host=host.get("value", ""),
        dogstatsd_port=metrics,
        apm_port=traces,
    )


def _value(variables: Variables, name: str) -> str:
    return str(variables.get(name, {}).get("value", ""))


ANNOTATION = f"{kubernetes.GROUP}/datadog-connection"


def annotation(connection: Connection) -> dict[str, str]:
    """Return the annotation that records `connection`; empty if there is no connection."""
    if connection.mode is ConnectionMode.NONE:
        return {}
    value = {
        "mode": connection.mode,
        "host": connection.host,
        "dogstatsd": connection.dogstatsd_port,
        "apm": connection.apm_port,
    }
    # Recorded only if they differ from the default, so that the annotation of most agents does not change.
    if connection.dogstatsd_container_port not in (None, env.DOGSTATSD_PORT):
        value["dogstatsdContainerPort"] = connection.dogstatsd_container_port
    if connection.apm_container_port not in (None, env.TRACE_PORT):
        value["apmContainerPort"] = connection.apm_container_port
    sockets = {
        "dogstatsdSocket": connection.dogstatsd_socket,
        "apmSocket": connection.apm_socket,
    }
    value |= {
        key: f"{item.folder}/{item.name}" for key, item in sockets.items() if item is not None
    }
    return {ANNOTATION: orjson.dumps(value).decode()}


def connection_from_annotation(stateful_set: Mapping[str, Any]) -> Connection | None:
    """Return the connection in the annotation of a StatefulSet; None if there is none or it cannot be parsed."""
    annotations = mapping(mapping(stateful_set.get("metadata")).get("annotations"))
    content = annotations.get(ANNOTATION, "")
    try:
        value = orjson.loads(content)
        return Connection(
            mode=ConnectionMode(value["mode"]),
            host=_host(value["host"]),
            dogstatsd_port=_port(value["dogstatsd"]),
            apm_port=_port(value["apm"]),
            dogstatsd_container_port=_port(value.get("dogstatsdContainerPort")),
            apm_container_port=_port(value.get("apmContainerPort")),
            dogstatsd_socket=_socket_from_path(value.get("dogstatsdSocket")),
            apm_socket=_socket_from_path(value.get("apmSocket")),
        )
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
        return None


def _host(value: object) -> str:
    if value != "" and parsing.host(value) is None:
        raise ValueError("not the name of a host")
    return str(value)


def _port(value: object) -> int | None:
    if value is not None and (isinstance(value, str) or parsing.port(value) is None):
        raise ValueError("not a port")
    return parsing.port(value)


def _socket_from_path(path: object) -> Socket | None:
    if path is None:
        return None
    folder, _, name = (parsing.path(path) or "").rpartition("/")
    if not folder or parsing.socket_name(name) is None:
        raise ValueError("not the path of a socket")
    return Socket(folder=folder, name=name)
