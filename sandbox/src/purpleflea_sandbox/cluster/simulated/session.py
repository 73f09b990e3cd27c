"""Processes of a simulated cluster: one session whose leader is the supervisor.

All of them are ended even if the leader has already exited. A process belongs to the cluster only
if it is in that session and its command line contains the state folder.
"""

import os
from pathlib import Path

from purpleflea_sandbox.cluster import processes
from purpleflea_sandbox.cluster.control_plane import python
from purpleflea_sandbox.cluster.processes import ProcessHandle

_END_LIMIT_S = 10.0


class Session:
    """Session of one cluster, saved in its state folder."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._file = state / "run" / "leader"

    def start(self) -> None:
        plan = str(self._state / "etc" / "plan.json")
        argv = python("purpleflea_sandbox.cluster.supervisor", plan)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawn(
            argv[0],
            argv,
            {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "PYTHONUNBUFFERED": "1"},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (
                    os.POSIX_SPAWN_OPEN,
                    1,
                    str(self._state / "logs" / "supervisor.log"),
                    flags,
                    0o644,
                ),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
        if (leader := processes.handle(pid)) is not None:
            leader.save(self._file)

    def leader(self) -> int | None:
        """Return the pid of the supervisor if it is running."""
        process = processes.load(self._file)
        return process.pid if process is not None and process.is_alive() else None

    def is_alive(self) -> bool:
        return self.leader() is not None

    def end(self) -> bool:
        """Kill every process of the session; return whether all have exited."""
        # Repeat until no process is left, because a supervisor may start a unit before it is killed
        # itself.
        while members := self._members():
            for member in members:
                member.kill()
            # Wait by handle, because an exiting process no longer has a command line.
            if not all(member.wait_until_exited(_END_LIMIT_S) for member in members):
                return False
        if (leader := processes.load(self._file)) is not None:
            processes.reap(leader.pid)
        return True

    def _members(self) -> list[ProcessHandle]:
        leader = processes.load(self._file)
        if leader is None:
            return []
        mark = str(self._state)
        return [
            member
            for pid in processes.session_members(leader)
            if mark in processes.command_line(pid) and (member := processes.handle(pid))
        ]
