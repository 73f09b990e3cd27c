"""The one process by which a plane is held: `unshare`, parent of the plane's pid 1. Starting it
makes the namespaces, killing it ends everything in them. Remembers it across commands, crashes
and reboots."""

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
    """Start the plane's supervisor as pid 1 of fresh namespaces, with the listener."""
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
        raise with_log("the namespaces of the plane could not be made", log)


def inner(layout: Layout) -> Handle | None:
    """The plane's pid 1 as seen from outside, if it lives."""
    found = processes.load(layout.inner)
    return found if found is not None and found.is_alive() else None


def is_alive(layout: Layout) -> bool:
    holder = processes.load(layout.holder)
    return holder is not None and holder.is_alive() and inner(layout) is not None


def end(layout: Layout) -> bool:
    """Kill the plane if it lives, and wait until every process in it is gone; say whether it is."""
    ended = True
    for file in (layout.holder, layout.inner):
        if (found := processes.load(file)) is not None:
            found.kill()
            # Pid 1 of a namespace ends only after all others in it have.
            ended = found.wait_gone(_END_LIMIT_S) and ended
            processes.reap(found.pid)
    return ended


def _note_inner(layout: Layout, pid: int) -> bool:
    for child in processes.children(pid):
        if (found := processes.handle(child)) is not None:
            found.save(layout.inner)
            return True
    return False
