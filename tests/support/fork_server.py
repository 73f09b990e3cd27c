"""Starts agents by forking from a process that has imported everything: a tenth of a second instead of three.

    python -m support.agent_nursery

One JSON object per line comes in: the agent's environment, the file for its output, the seconds its wall clock is
ahead, and the step at which it dies, if any. One line goes out with its process id, and one with how it ended. What
runs is the agent's own main(), without ddtrace-run: no traces here.
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


# Before the agent is imported: its parts take the clock as a default argument.
time.time = _shifted

from purpleflea_agent.__main__ import main  # noqa: E402
from support.crash_points import CrashPoint  # noqa: E402


def serve() -> None:
    """Start one agent per line, one at a time."""
    for line in sys.stdin:
        birth = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _live(birth)
        _say({"pid": pid})
        _, status = os.waitpid(pid, 0)
        _say({"ended": os.waitstatus_to_exitcode(status)})


def _live(birth: dict[str, Any]) -> None:
    global _ahead_s
    code = 70
    try:
        output = os.open(birth["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        os.environ.update(birth["environment"])
        _ahead_s = float(birth["ahead_s"])
        if birth["dies_at"] is not None:
            CrashPoint(birth["dies_at"]).arm()
        code = main()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _say(words: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
