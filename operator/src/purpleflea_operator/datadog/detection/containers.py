"""Reading the containers of a node agent: variables, named ports, and the folders behind their mounts.

What others provide at run time (Secrets, ConfigMaps, a mounted datadog.yaml) cannot be read and is told as HIDDEN.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final, Literal

from purpleflea_operator.datadog.detection.facts import Port, Socket, Switch

Manifest = Mapping[str, Any]

HIDDEN: Final[Literal["?"]] = "?"
"""Stands for the value of a variable that is set where we cannot look."""
CONFIGURATION = "datadog.yaml"


def containers(daemon_set: Manifest) -> list[Manifest]:
    """The containers of the template."""
    found: list[Manifest] = daemon_set["spec"]["template"]["spec"].get("containers", [])
    return found


def container(daemon_set: Manifest, *names: str) -> Manifest | None:
    """The first container of one of these names, in their order."""
    by_name = {item["name"]: item for item in containers(daemon_set)}
    return next((by_name[name] for name in names if name in by_name), None)


def variable(owner: Manifest, name: str) -> str | None:
    """The value of a variable: None where it is not set, HIDDEN where it may be and cannot be read."""
    # The last duplicate wins: the chart appends the user's variables.
    set_here = [item for item in owner.get("env", []) if item["name"] == name]
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
    return len([item for item in owner.get("env", []) if item["name"] == name]) > 1


def owner_of_port(daemon_set: Manifest, name: str) -> Manifest | None:
    """The container that has the named port (DogStatsD moves to agent-data-plane)."""
    for item in containers(daemon_set):
        if any(port.get("name") == name for port in item.get("ports", [])):
            return item
    return None


def declared_port(daemon_set: Manifest, name: str) -> Manifest | None:
    """The named port, as the template has it."""
    ports: list[Manifest] = (owner_of_port(daemon_set, name) or {}).get("ports", [])
    return next((item for item in ports if item.get("name") == name), None)


def port(daemon_set: Manifest, owner: Manifest, name: str, number: str) -> Port | None:
    """Where the receiver of the named port listens; `number` is the variable that says so.

    None where that leads nowhere: what is declared is mapped to the node, and found by a Service, not what listens.
    """
    item = declared_port(daemon_set, name)
    if item is None:
        return None
    declared = int(item["containerPort"])
    said = _listening_port(owner, number)
    listens = declared if said is None else said
    if not listens:
        return None
    if daemon_set["spec"]["template"]["spec"].get("hostNetwork"):
        # There is no hostPort field, and every port is the node's.
        return Port(on_host=listens, is_declared=listens == declared)
    return Port(on_host=item.get("hostPort")) if listens == declared else None


def _listening_port(owner: Manifest, number: str) -> int | None:
    """The port that a variable says; None where it does not, or cannot be read."""
    value = variable(owner, number) or ""
    return int(value) if value.isdecimal() else None


def socket(daemon_set: Manifest, owner: Manifest, name: str) -> Socket | None:
    """The UNIX socket that a variable names, found on the node by the mount of its folder.

    By the mount's path, never by the volume's name: the chart mounts one folder through differently named volumes.
    """
    value = variable(owner, name)
    if not value or value == HIDDEN:
        return None
    path = PurePosixPath(value.removeprefix("unix://"))
    volumes = {
        item["name"]: item for item in daemon_set["spec"]["template"]["spec"].get("volumes", [])
    }
    mounts = [
        item
        for item in owner.get("volumeMounts", [])
        if path.parent.is_relative_to(item["mountPath"])
    ]
    if not mounts:
        return None
    # The innermost mount is what stands at the path.
    mount = max(mounts, key=lambda item: len(PurePosixPath(item["mountPath"]).parts))
    host_path = volumes.get(mount["name"], {}).get("hostPath", {}).get("path")
    if not host_path or "subPathExpr" in mount:
        return None
    inside = path.parent.relative_to(mount["mountPath"])
    folder = PurePosixPath(host_path) / mount.get("subPath", "") / inside
    return Socket(folder=str(folder), name=path.name)


def image_path(owner: Manifest | None) -> tuple[str, str]:
    """Last part of the image's path, and its tag; registry hosts differ by site, so they do not count."""
    image = str((owner or {}).get("image", "")).partition("@")[0]
    name, _, tag = image.rpartition("/")[2].partition(":")
    return name, tag


def _is_configured_elsewhere(owner: Manifest) -> bool:
    return bool(owner.get("envFrom")) or any(
        item["mountPath"].endswith(f"/{CONFIGURATION}") for item in owner.get("volumeMounts", [])
    )
