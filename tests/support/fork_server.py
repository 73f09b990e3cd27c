"""Starts agents by forking from a process that has imported everything: a tenth of a second instead of three.

    python -m support.fork_server

Each line of input is a JSON object: the environment of the agent, the file for its output, the seconds that its wall
clock is ahead, and the step at which it dies, if any. The output has one line with its process id, and one line with
its exit code. It runs main() of the agent without ddtrace-run, so there are no traces.
"""

import json
import os
import sys
import time
from typing import Any

_wall = time.time
_ahead_s = 0.0


def _shifted() -> float:
    return _wall() + _ahead_s


# Before the agent is imported, because its parts have the clock as a default argument.
time.time = _shifted

from purpleflea_agent.__main__ import main  # noqa: E402
from purpleflea_agent.trading.missing_orders import MissingOrderTracker  # noqa: E402
from support.crash_points import CrashPoint  # noqa: E402

WINDOW_S = 0.2
"""Time after which a missing order is given up. An agent lives for a second here, and a restart begins the window."""


def serve() -> None:
    """Start one agent per line, one at a time."""
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _run_agent(request)
        _print({"pid": pid})
        _, status = os.waitpid(pid, 0)
        _print({"ended": os.waitstatus_to_exitcode(status)})


def _run_agent(request: dict[str, Any]) -> None:
    global _ahead_s
    code = 70
    with_window = MissingOrderTracker.__init__
    try:
        patched: Any = MissingOrderTracker
        patched.__init__ = lambda self, **more: with_window(
            self, **{**more, "abandon_after_s": WINDOW_S}
        )
        output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        os.environ.update(request["environment"])
        _ahead_s = float(request["ahead_s"])
        if request["dies_at"] is not None:
            CrashPoint(request["dies_at"]).arm()
        code = main()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _print(message: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
