"""Node ports of a cluster, opened on the loopback interface of the machine.

Each port has a proxy process inside the cluster, so it ends with the cluster. The listening socket
is opened outside the network namespace and stays there.
"""

import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from purpleflea_sandbox.cluster import processes, waiting
from purpleflea_sandbox.cluster.control_plane import python
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.local.paths import NODE_IP, ClusterPaths
from purpleflea_sandbox.cluster.supervisor import LISTENER_FD

_START_LIMIT_S = 10.0


def open_node_port(
    paths: ClusterPaths, node_port: int, inside: Callable[[Sequence[str]], tuple[str, ...]]
) -> str:
    """Return the loopback address that forwards to a port of the node; open it if it is not open
    yet.
    """
    handle_file = paths.state / "run" / f"published-{node_port}"
    address_file = handle_file.with_suffix(".address")
    known = processes.load(handle_file)
    if known is not None and known.is_alive():
        return address_file.read_text()
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        proxy = python("purpleflea_sandbox.cluster.local.tcp_proxy", NODE_IP, str(node_port))
        pid = _spawn(inside(proxy), listener, paths.logs / f"published-{node_port}.log")
    address_file.write_text(address)
    # nsenter stays outside the namespaces and waits for the proxy, so it exits with the proxy and
    # therefore with the cluster.
    process = processes.handle(pid)
    if process is None or not waiting.until(
        lambda: bool(processes.children(pid)), timeout_s=_START_LIMIT_S
    ):
        raise ClusterError(f"cannot open port {node_port} of the node on this machine")
    process.save(handle_file)
    return address


def _spawn(argv: tuple[str, ...], listener: socket.socket, log: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawn(
        argv[0],
        argv,
        {"PATH": os.environ["PATH"]},
        file_actions=[
            (os.POSIX_SPAWN_DUP2, listener.fileno(), LISTENER_FD),
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
