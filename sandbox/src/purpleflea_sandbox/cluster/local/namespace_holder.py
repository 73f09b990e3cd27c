"""The `unshare` process that holds the namespaces of a cluster.

It is the parent of the cluster's pid 1. Starting it creates the namespaces, and killing it ends
every process in them. Its handle is saved, so later commands find it even after crashes and
reboots.
"""

import os
import socket

from purpleflea_sandbox.cluster import packages, processes, waiting
from purpleflea_sandbox.cluster.control_plane import python
from purpleflea_sandbox.cluster.errors import with_log
from purpleflea_sandbox.cluster.local.paths import ClusterPaths
from purpleflea_sandbox.cluster.processes import ProcessHandle
from purpleflea_sandbox.cluster.supervisor import LISTENER_FD

_START_LIMIT_S = 10.0
_END_LIMIT_S = 30.0


def start(paths: ClusterPaths, listener: socket.socket) -> None:
    """Start the supervisor of the cluster as pid 1 of new namespaces, with the listener."""
    log = paths.logs / "supervisor.log"
    argv = (
        packages.program("unshare"),
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        *python("purpleflea_sandbox.cluster.supervisor", str(paths.plan), str(LISTENER_FD)),
    )
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        argv[0],
        argv,
        {"PATH": packages.search_path(), "PYTHONUNBUFFERED": "1"},
        file_actions=[
            (os.POSIX_SPAWN_DUP2, listener.fileno(), LISTENER_FD),
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    holder = processes.handle(pid)
    if holder is not None:
        holder.save(paths.holder_handle)
    if not waiting.until(lambda: _save_init_handle(paths, pid), timeout_s=_START_LIMIT_S):
        raise with_log("cannot create the namespaces of the cluster", log)


def init_process(paths: ClusterPaths) -> ProcessHandle | None:
    """Return the cluster's pid 1 as seen from outside the namespaces, if it is running."""
    process = processes.load(paths.init_handle)
    return process if process is not None and process.is_alive() else None


def is_alive(paths: ClusterPaths) -> bool:
    holder = processes.load(paths.holder_handle)
    return holder is not None and holder.is_alive() and init_process(paths) is not None


def end(paths: ClusterPaths) -> bool:
    """Kill the cluster if it is running; return whether all of its processes have exited."""
    ended = True
    for file in (paths.holder_handle, paths.init_handle):
        if (process := processes.load(file)) is not None:
            process.kill()
            # Pid 1 of a namespace exits only after all other processes in the namespace.
            ended = process.wait_until_exited(_END_LIMIT_S) and ended
            processes.reap(process.pid)
    return ended


def _save_init_handle(paths: ClusterPaths, pid: int) -> bool:
    for child in processes.children(pid):
        if (process := processes.handle(child)) is not None:
            process.save(paths.init_handle)
            return True
    return False
