"""Reading the containers of a node agent: variables, named ports, and the folders behind their mounts.

What others provide at run time (Secrets, ConfigMaps, a mounted datadog.yaml) cannot be read and is told as HIDDEN.
"""

from pathlib import PurePosixPath
from typing import Final, Literal

from purpleflea_operator import parsing
from purpleflea_operator.datadog.detection.facts import Port, Socket, Switch
from purpleflea_operator.parsing import PATH_LIMIT, Manifest, rows, table, text

Variables = tuple[str, str]
"""Names of the variables with the port and with the socket of a receiver."""

HIDDEN: Final[Literal["?"]] = "?"
"""Stands for the value of a variable that is set where we cannot look."""
CONFIGURATION = "datadog.yaml"


def containers(daemon_set: Manifest) -> list[Manifest]:
    """The containers of the template."""
    found = rows(pod_spec(daemon_set).get("containers"))
    return [item for item in found if isinstance(item.get("name"), str)]


def pod_spec(daemon_set: Manifest) -> Manifest:
    """The spec of the pod template."""
    return table(table(table(daemon_set.get("spec")).get("template")).get("spec"))


def container(daemon_set: Manifest, *names: str) -> Manifest | None:
    """The first container of one of these names, in their order."""
    by_name = {item["name"]: item for item in containers(daemon_set)}
    return next((by_name[name] for name in names if name in by_name), None)


def variable(owner: Manifest, name: str) -> str | None:
    """The value of a variable: None where it is not set, HIDDEN where it may be and cannot be read."""
    # The last duplicate wins: the chart appends the user's variables.
    set_here = [item for item in rows(owner.get("env")) if item.get("name") == name]
    if set_here:
        value = str(set_here[-1].get("value", "")) if "valueFrom" not in set_here[-1] else HIDDEN
        return HIDDEN if "$(" in value else value
    return HIDDEN if _is_configured_elsewhere(owner) else None


def switch(owner: Manifest, name: str, *, unset: Switch) -> Switch:
    """A variable that turns something on or off; `unset` is what Datadog takes where it is not set."""
    value = variable(owner, name)
    if value is None:
        return unset
    if value == HIDDEN:
        return Switch.UNKNOWN
    return Switch.ON if value.lower() in ("true", "1", "yes", "t") else Switch.OFF


def is_overridden(owner: Manifest, name: str) -> bool:
    """Whether a variable is set again by the user, after what the installation says."""
    return len([item for item in rows(owner.get("env")) if item.get("name") == name]) > 1


def owner_of_port(daemon_set: Manifest, name: str) -> Manifest | None:
    """The container that has the named port (DogStatsD moves to agent-data-plane)."""
    for item in containers(daemon_set):
        if any(port.get("name") == name for port in rows(item.get("ports"))):
            return item
    return None


def declared_port(daemon_set: Manifest, name: str) -> Manifest | None:
    """The named port, as the template has it."""
    ports = rows((owner_of_port(daemon_set, name) or {}).get("ports"))
    return next((item for item in ports if item.get("name") == name), None)


def port(daemon_set: Manifest, owner: Manifest, name: str, number: str) -> Port | None:
    """Where the receiver of the named port listens; `number` is the variable that says so.

    None where that leads nowhere: what is declared is mapped to the node, and found by a Service, not what listens.
    """
    item = declared_port(daemon_set, name)
    if item is None:
        return None
    declared, listens = parsing.port(item.get("containerPort")), _said(owner, number)
    if listens is None:
        listens = declared
    if not listens or declared is None:
        return None
    if pod_spec(daemon_set).get("hostNetwork"):
        # There is no hostPort field, and every port is the node's.
        return Port(host_port=listens, is_declared=listens == declared)
    return Port(host_port=parsing.port(item.get("hostPort"))) if listens == declared else None


def _said(owner: Manifest, number: str) -> int | None:
    """The port in a variable: None if it is not set or cannot be read, 0 if it is not a port."""
    value = variable(owner, number)
    if not value or value == HIDDEN:
        return None
    return parsing.port(value) or 0


def invalid_values(
    daemon_set: Manifest, owner: Manifest, name: str, variables: Variables
) -> list[str]:
    """Reasons why values of a receiver cannot be used; the values themselves are left out, as they can be long."""
    number, socket_variable = variables
    found = []
    # 0 turns a receiver off on purpose.
    if _said(owner, number) == 0 and variable(owner, number) != "0":
        found.append(f"{number} is not a port from 1 to 65535")
    item = declared_port(daemon_set, name)
    if item is not None and parsing.port(item.get("containerPort")) is None:
        found.append(f"the containerPort of {name} is not a port from 1 to 65535")
    value = variable(owner, socket_variable)
    if value and value != HIDDEN and _socket_path(value) is None:
        found.append(f"{socket_variable} is not an absolute path to a socket without '..'")
    return found


def _socket_path(value: str) -> PurePosixPath | None:
    clean = parsing.path(value.removeprefix("unix://"))
    if clean is None or parsing.socket_name(PurePosixPath(clean).name) is None:
        return None
    return PurePosixPath(clean)


def socket(daemon_set: Manifest, owner: Manifest, name: str) -> Socket | None:
    """The UNIX socket that a variable names, found on the node by the mount of its folder.

    By the mount's path, never by the volume's name: the chart mounts one folder through differently named volumes.
    """
    value = variable(owner, name)
    if not value or value == HIDDEN:
        return None
    path = _socket_path(value)
    volumes = {text(item.get("name")): item for item in rows(pod_spec(daemon_set).get("volumes"))}
    mounts = [
        item
        for item in rows(owner.get("volumeMounts"))
        if path is not None
        and path.parent.is_relative_to(parsing.path(item.get("mountPath")) or "-")
    ]
    if path is None or not mounts:
        return None
    # The innermost mount is what stands at the path.
    mount = max(mounts, key=lambda item: len(PurePosixPath(item["mountPath"]).parts))
    volume = table(volumes.get(text(mount.get("name"))))
    host_path = parsing.path(table(volume.get("hostPath")).get("path"))
    if host_path is None or "subPathExpr" in mount:
        return None
    inside = path.parent.relative_to(mount["mountPath"])
    # An absolute subPath would replace the folder; the API server accepts relative ones only.
    folder = PurePosixPath(host_path) / text(mount.get("subPath"), limit=PATH_LIMIT) / inside
    clean = parsing.path(str(folder))
    return None if clean is None else Socket(folder=clean, name=path.name)


def image_path(owner: Manifest | None) -> tuple[str, str]:
    """Last part of the image's path, and its tag; registry hosts differ by site, so they do not count."""
    image = text((owner or {}).get("image"), limit=PATH_LIMIT).partition("@")[0]
    name, _, tag = image.rpartition("/")[2].partition(":")
    return name, parsing.tag(tag) or ""


def _is_configured_elsewhere(owner: Manifest) -> bool:
    return bool(owner.get("envFrom")) or any(
        text(item.get("mountPath"), limit=PATH_LIMIT).endswith(f"/{CONFIGURATION}")
        for item in rows(owner.get("volumeMounts"))
    )
