"""The node agent's UNIX sockets in a pod: volumes, mounts, and the resulting addresses.

Folders are mounted instead of sockets, because a node agent that restarts creates new sockets. The volumes have other
names than those of Datadog's admission webhook, because the webhook omits a volume whose name already exists.
"""

from purpleflea_contract import environment as env
from purpleflea_operator.datadog.detection.connection import Connection, ConnectionMode
from purpleflea_operator.datadog.detection.facts import Socket
from purpleflea_operator.datadog.detection.node_agent import CSI_DRIVER
from purpleflea_operator.parsing import MutableManifest

VOLUME, APM_VOLUME = "node-agent", "node-agent-apm"


def volumes(connection: Connection) -> list[MutableManifest]:
    """Return the volumes of a pod that uses sockets; empty for other connections."""
    return [
        {"name": name, **_source(connection, folder, name)}
        for name, folder in _folders(connection).items()
    ]


def mounts(connection: Connection) -> list[MutableManifest]:
    """Return the mounts of these volumes in a container."""
    return [
        {"name": name, "mountPath": PATHS[name], "readOnly": True} for name in _folders(connection)
    ]


def dogstatsd_url(connection: Connection) -> str | None:
    """Return the address for metrics; None if it is not a socket."""
    return _url(connection.dogstatsd_socket, VOLUME)


def apm_url(connection: Connection) -> str | None:
    """Return the address for traces; None if it is not a socket."""
    is_shared = APM_VOLUME not in _folders(connection)
    return _url(connection.apm_socket, VOLUME if is_shared else APM_VOLUME)


PATHS = {VOLUME: env.SOCKETS_DIR, APM_VOLUME: env.APM_SOCKETS_DIR}
# Types of volume of Datadog's CSI driver.
_CSI_TYPES = {VOLUME: "DSDSocketDirectory", APM_VOLUME: "APMSocketDirectory"}


def _folders(connection: Connection) -> dict[str, str]:
    """Return the folders of the node by name of the volume; a single one if both sockets are in the same folder."""
    metrics, traces = connection.dogstatsd_socket, connection.apm_socket
    folders = {} if metrics is None else {VOLUME: metrics.folder}
    if traces is not None and traces.folder not in folders.values():
        folders[APM_VOLUME] = traces.folder
    return folders


def _source(connection: Connection, folder: str, name: str) -> MutableManifest:
    if connection.mode is ConnectionMode.CSI:
        attributes = {"type": _CSI_TYPES[name]}
        return {"csi": {"driver": CSI_DRIVER, "readOnly": True, "volumeAttributes": attributes}}
    return {"hostPath": {"path": folder, "type": "DirectoryOrCreate"}}


def _url(socket: Socket | None, volume: str) -> str | None:
    return None if socket is None else f"unix://{PATHS[volume]}/{socket.name}"
