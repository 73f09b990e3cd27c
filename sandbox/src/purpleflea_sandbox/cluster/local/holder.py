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
from purpleflea_sandbox.cluster.local.layout import Layout
from purpleflea_sandbox.cluster.processes import Handle
from purpleflea_sandbox.cluster.supervisor import LISTENER_FD

_START_LIMIT_S = 10.0
_END_LIMIT_S = 30.0


def start(layout: Layout, listener: socket.socket) -> None:
    """Start the supervisor of the cluster as pid 1 of new namespaces, with the listener."""
    log = layout.logs / "supervisor.log"
    argv = (
        packages.program("unshare"),
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        *python("purpleflea_sandbox.cluster.supervisor", str(layout.plan), str(LISTENER_FD)),
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
        holder.save(layout.holder)
    if not waiting.until(lambda: _note_inner(layout, pid), timeout_s=_START_LIMIT_S):
        raise with_log("cannot create the namespaces of the cluster", log)


def inner(layout: Layout) -> Handle | None:
    """Return the cluster's pid 1 as seen from outside the namespaces, if it is running."""
    process = processes.load(layout.inner)
    return process if process is not None and process.is_alive() else None


def is_alive(layout: Layout) -> bool:
    holder = processes.load(layout.holder)
    return holder is not None and holder.is_alive() and inner(layout) is not None


def end(layout: Layout) -> bool:
    """Kill the cluster if it is running; return whether all of its processes have exited."""
    ended = True
    for file in (layout.holder, layout.inner):
        if (process := processes.load(file)) is not None:
            process.kill()
            # Pid 1 of a namespace exits only after all other processes in the namespace.
            ended = process.wait_gone(_END_LIMIT_S) and ended
            processes.reap(process.pid)
    return ended


def _note_inner(layout: Layout, pid: int) -> bool:
    for child in processes.children(pid):
        if (process := processes.handle(child)) is not None:
            process.save(layout.inner)
            return True
    return False
