"""Read the containers of a node agent: variables, named ports, and the folders of the node behind their mounts.

Values from Secrets, ConfigMaps and a mounted datadog.yaml are only known at run time. The operator cannot read them, so
such a value is HIDDEN, and a switch with such a value is UNKNOWN.
"""

from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Final, Literal

from purpleflea_operator import parsing
from purpleflea_operator.datadog.detection.facts import ReceiverPort, Socket, Switch
from purpleflea_operator.parsing import PATH_LIMIT, Manifest, mapping, mappings, text

PortAndSocketVariables = tuple[str, str]
"""Names of the variables with the port and with the socket of a receiver."""

HIDDEN: Final[Literal["?"]] = "?"
"""Replaces the value of a variable that the operator cannot read."""
CONFIGURATION = "datadog.yaml"


def containers(daemon_set: Manifest) -> list[Manifest]:
    """Return the containers of the pod template."""
    items = mappings(pod_spec(daemon_set).get("containers"))
    return [item for item in items if isinstance(item.get("name"), str)]


def pod_spec(daemon_set: Manifest) -> Manifest:
    """Return the spec of the pod template."""
    return mapping(mapping(mapping(daemon_set.get("spec")).get("template")).get("spec"))


def first_container(daemon_set: Manifest, *names: str) -> Manifest | None:
    """Return the container with the first of these names that exists."""
    by_name = {item["name"]: item for item in containers(daemon_set)}
    return next((by_name[name] for name in names if name in by_name), None)


def variable(container: Manifest, name: str) -> str | None:
    """Return the value of a variable; None if it is not set, HIDDEN if it may be set but cannot be read."""
    # The last duplicate is effective, because the chart appends the user's variables.
    entries = [item for item in mappings(container.get("env")) if item.get("name") == name]
    if entries:
        value = str(entries[-1].get("value", "")) if "valueFrom" not in entries[-1] else HIDDEN
        return HIDDEN if "$(" in value else value
    return HIDDEN if _has_hidden_configuration(container) else None


def switch(container: Manifest, name: str, *, unset: Switch) -> Switch:
    """Return the state of a boolean variable. `unset` is Datadog's default, which applies if it is not set."""
    value = variable(container, name)
    if value is None:
        return unset
    if value == HIDDEN:
        return Switch.UNKNOWN
    return Switch.ON if value.lower() in ("true", "1", "yes", "t") else Switch.OFF


def is_overridden(container: Manifest, name: str) -> bool:
    """Return True if the user sets a variable that the installation sets too."""
    return len([item for item in mappings(container.get("env")) if item.get("name") == name]) > 1


def with_variables_of(container: Manifest, others: Iterable[Manifest]) -> Manifest:
    """Return a container with the variables and mounts of `others`, which apply where its own do not.

    DogStatsD can run in the container agent-data-plane, which reads its configuration from the container agent.
    """
    rest = [item for item in others if item is not container]
    inherited: dict[str, list[Manifest]] = {"env": [], "envFrom": [], "volumeMounts": []}
    for key in inherited:
        parts = [mappings(item.get(key)) for item in (*rest, container)]
        # The last variable applies. Of several mounts at a path, the first one applies.
        ordered = parts if key == "env" else reversed(parts)
        inherited[key] = [entry for part in ordered for entry in part]
    return {**container, **inherited}


def container_with_port(daemon_set: Manifest, name: str) -> Manifest | None:
    """Return the container with the named port. DogStatsD can move to the container agent-data-plane."""
    for item in containers(daemon_set):
        if any(port.get("name") == name for port in mappings(item.get("ports"))):
            return item
    return None


def declared_port(daemon_set: Manifest, name: str) -> Manifest | None:
    """Return the entry of the named port in the pod template."""
    ports = mappings((container_with_port(daemon_set, name) or {}).get("ports"))
    return next((item for item in ports if item.get("name") == name), None)


def _host_port(item: Manifest) -> int | None:
    """Return the port of the node; None if it is open only on one address, such as loopback."""
    return parsing.port(item.get("hostPort")) if _is_every_address(item.get("hostIP")) else None


def _is_every_address(value: object) -> bool:
    """Return whether a hostPort with this hostIP is open on all addresses of a node. IPv6 has several notations."""
    try:
        return not text(value) or ip_address(text(value)).is_unspecified
    except ValueError:
        return False


def named_port(daemon_set: Manifest, name: str) -> int | None:
    """Return the number of a named port of any container; None if no container has it."""
    item = declared_port(daemon_set, name)
    return None if item is None else parsing.port(item.get("containerPort"))


def has_protocol(item: Manifest, protocol: str) -> bool:
    """Return True if a port has this protocol. The API server always sets one."""
    return bool(item.get("protocol", protocol) == protocol)


def port(
    daemon_set: Manifest, container: Manifest, name: str, variable_name: str
) -> ReceiverPort | None:
    """Return the port on which the receiver of the named port listens, as its variable configures it.

    None is returned if no pod can reach that port. A hostPort and a Service forward to the declared containerPort, so
    they do not work if the receiver listens on another port.
    """
    item = declared_port(daemon_set, name)
    if item is None:
        return None
    declared = parsing.port(item.get("containerPort"))
    configured = _configured_port(container, variable_name)
    listening = declared if configured is None else configured
    if not listening or declared is None:
        return None
    if pod_spec(daemon_set).get("hostNetwork"):
        # With the network of the node there is no hostPort, and every port is open on the node.
        return ReceiverPort(
            host_port=listening, is_declared=listening == declared, container_port=listening
        )
    return (
        ReceiverPort(host_port=_host_port(item), container_port=listening)
        if listening == declared
        else None
    )


def _configured_port(container: Manifest, variable_name: str) -> int | None:
    """Return the port in a variable; None if it is not set or cannot be read, 0 if it is not a port."""
    value = variable(container, variable_name)
    if not value or value == HIDDEN:
        return None
    return parsing.port(value) or 0


def invalid_values(
    daemon_set: Manifest, container: Manifest, port_name: str, variables: PortAndSocketVariables
) -> list[str]:
    """Return reasons why values of a receiver cannot be used. The values are left out, because they can be long."""
    port_variable, socket_variable = variables
    reasons = []
    # The value 0 is valid: it turns the receiver off.
    if (
        _configured_port(container, port_variable) == 0
        and variable(container, port_variable) != "0"
    ):
        reasons.append(f"{port_variable} is not a port from 1 to 65535")
    item = declared_port(daemon_set, port_name)
    if item is not None and parsing.port(item.get("containerPort")) is None:
        reasons.append(f"the containerPort of {port_name} is not a port from 1 to 65535")
    value = variable(container, socket_variable)
    if value and value != HIDDEN and _socket_path(value) is None:
        reasons.append(f"{socket_variable} is not an absolute path to a socket without '..'")
    return reasons


def _socket_path(value: str) -> PurePosixPath | None:
    clean = parsing.path(value.removeprefix("unix://"))
    if clean is None or parsing.socket_name(PurePosixPath(clean).name) is None:
        return None
    return PurePosixPath(clean)


def socket(daemon_set: Manifest, container: Manifest, variable_name: str) -> Socket | None:
    """Return the UNIX socket that a variable names, with its folder on the node.

    The folder is identified by the path of the mount, not by the name of the volume, because the chart mounts one
    folder through volumes of different names.
    """
    value = variable(container, variable_name)
    if not value or value == HIDDEN:
        return None
    path = _socket_path(value)
    volumes = {
        text(item.get("name")): item for item in mappings(pod_spec(daemon_set).get("volumes"))
    }
    mounts = [
        item
        for item in mappings(container.get("volumeMounts"))
        if path is not None
        and path.parent.is_relative_to(parsing.path(item.get("mountPath")) or "-")
    ]
    if path is None or not mounts:
        return None
    # The innermost mount hides the others at this path.
    mount = max(mounts, key=lambda item: len(PurePosixPath(item["mountPath"]).parts))
    volume = mapping(volumes.get(text(mount.get("name"))))
    host_path = parsing.path(mapping(volume.get("hostPath")).get("path"))
    if host_path is None or "subPathExpr" in mount:
        return None
    inside = path.parent.relative_to(mount["mountPath"])
    # An absolute subPath would replace the folder, but the API server accepts only relative ones.
    folder = PurePosixPath(host_path) / text(mount.get("subPath"), limit=PATH_LIMIT) / inside
    clean = parsing.path(str(folder))
    return None if clean is None else Socket(folder=clean, name=path.name)


def image_path(container: Manifest | None) -> tuple[str, str]:
    """Return the last part of the image's path, and its tag. The registry is ignored, because it differs by site."""
    image = text((container or {}).get("image"), limit=PATH_LIMIT).partition("@")[0]
    name, _, tag = image.rpartition("/")[2].partition(":")
    return name, parsing.tag(tag) or ""


def _has_hidden_configuration(container: Manifest) -> bool:
    return bool(container.get("envFrom")) or any(
        text(item.get("mountPath"), limit=PATH_LIMIT).endswith(f"/{CONFIGURATION}")
        for item in mappings(container.get("volumeMounts"))
    )
