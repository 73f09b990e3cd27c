"""The node agent's UNIX sockets in a pod: volumes, where they are mounted, and the addresses that come of it.

Folders are mounted, never the sockets: a node agent that starts again makes new ones. The names of the volumes are not
those of Datadog's admission webhook, which would leave its own out.
"""

from purpleflea_contract import environment as env
from purpleflea_operator.datadog.detection.connection import Connection, ConnectionMode
from purpleflea_operator.datadog.detection.facts import Socket
from purpleflea_operator.datadog.detection.node_agent import CSI_DRIVER
from purpleflea_operator.parsing import MutableManifest

VOLUME, APM_VOLUME = "node-agent", "node-agent-apm"


def volumes(connection: Connection) -> list[MutableManifest]:
    """The volumes of a pod that reaches its node agent by sockets."""
    return [
        {"name": name, **_source(connection, folder, name)}
        for name, folder in _folders(connection).items()
    ]


def mounts(connection: Connection) -> list[MutableManifest]:
    """Where a container has them."""
    return [
        {"name": name, "mountPath": PATHS[name], "readOnly": True} for name in _folders(connection)
    ]


def dogstatsd_url(connection: Connection) -> str | None:
    """The address for metrics; None where it is no socket."""
    return _url(connection.dogstatsd_socket, VOLUME)


def apm_url(connection: Connection) -> str | None:
    """The address for traces; None where it is no socket."""
    shared = APM_VOLUME not in _folders(connection)
    return _url(connection.apm_socket, VOLUME if shared else APM_VOLUME)


PATHS = {VOLUME: env.SOCKETS_DIR, APM_VOLUME: env.APM_SOCKETS_DIR}
# What Datadog's CSI driver calls the folders.
_CSI_TYPES = {VOLUME: "DSDSocketDirectory", APM_VOLUME: "APMSocketDirectory"}


def _folders(connection: Connection) -> dict[str, str]:
    """Folders of the node by the name of the volume; one where both sockets lie together."""
    metrics, traces = connection.dogstatsd_socket, connection.apm_socket
    found = {} if metrics is None else {VOLUME: metrics.folder}
    if traces is not None and traces.folder not in found.values():
        found[APM_VOLUME] = traces.folder
    return found


def _source(connection: Connection, folder: str, name: str) -> MutableManifest:
    if connection.mode is ConnectionMode.CSI:
        attributes = {"type": _CSI_TYPES[name]}
        return {"csi": {"driver": CSI_DRIVER, "readOnly": True, "volumeAttributes": attributes}}
    return {"hostPath": {"path": folder, "type": "DirectoryOrCreate"}}


def _url(socket: Socket | None, volume: str) -> str | None:
    return None if socket is None else f"unix://{PATHS[volume]}/{socket.name}"
