"""Starts the daemons of a cluster, restarts them after they exit, and reaps orphans.

It runs as pid 1 of the pid namespace of the node (`local`) or as the leader of a session
(`simulated`). It does not depend on any particular daemon.
"""

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

from purpleflea_sandbox.cluster.units import Unit, Units

# File descriptor of the inherited listener in a unit that needs it (the convention of socket
# activation).
LISTENER_FD = 3
_STOP = frozenset({signal.SIGTERM, signal.SIGINT})
_WATCHED = _STOP | {signal.SIGCHLD}
_FOREVER_S = 3600.0


class Supervisor:
    """Main loop: start the units that are due, wait for an exited child or the next start, reap."""

    def __init__(self, plan: Path, listener: int | None) -> None:
        described = json.loads(plan.read_text())
        self._units = Units.of(Unit.from_json(unit) for unit in described["units"])
        self._logs = Path(described["logs"])
        self._report = Path(described["report"])
        self._environment: dict[str, str] = described["environment"]
        self._listener = listener

    def run(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        try:
            self._supervise()
        finally:
            self._end_units()

    def _supervise(self) -> None:
        while True:
            self._start_due()
            self._publish()
            wait_s = self._units.next_due(time.monotonic())
            received = signal.sigtimedwait(_WATCHED, _FOREVER_S if wait_s is None else wait_s)
            if received is not None and received.si_signo in _STOP:
                return
            self._reap()

    def _start_due(self) -> None:
        for unit in self._units.due(time.monotonic()):
            try:
                pid = self._spawn(unit)
            except OSError as error:
                print(f"cannot start {unit.name}: {error}", flush=True)
                # -1 is not a valid pid. The unit counts as started and exited, so it is restarted
                # later.
                pid = -1
                self._units.started(unit.name, pid, time.monotonic())
                self._units.ended(pid, error.errno or 1, time.monotonic())
            else:
                self._units.started(unit.name, pid, time.monotonic())

    def _spawn(self, unit: Unit) -> int:
        log = str(self._logs / f"{unit.name}.log")
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        actions: list[tuple[int, int, str, int, int] | tuple[int, int, int]] = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, flags, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        if unit.wants_listener and self._listener is not None:
            actions.append((os.POSIX_SPAWN_DUP2, self._listener, LISTENER_FD))
        # posix_spawn is used because subprocess calls waitpid itself, which conflicts with a
        # reaper.
        return os.posix_spawn(
            unit.argv[0],
            unit.argv,
            self._environment,
            file_actions=actions,
            setsigmask=[],
        )

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self._units.ended(pid, os.waitstatus_to_exitcode(status), time.monotonic())

    def _end_units(self) -> None:
        """Kill the units and reap them, because the kernel ends them only with pid 1 of a namespace."""
        pids = self._units.pids()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)

    def _publish(self) -> None:
        unfinished = self._report.with_suffix(".new")
        unfinished.write_text(json.dumps(self._units.report()))
        unfinished.rename(self._report)


def main(argv: list[str]) -> None:
    """Run with the arguments: plan file, and the number of the inherited listener if there is one."""
    listener = int(argv[1]) if len(argv) > 1 else None
    if listener is not None:
        os.set_inheritable(listener, False)
    Supervisor(Path(argv[0]), listener).run()


if __name__ == "__main__":
    main(sys.argv[1:])
