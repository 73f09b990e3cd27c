"""The last resort at the end of a process: where a receiver accepts and never answers, ddtrace 4 holds the exit up for
most of a minute, and the kubelet's SIGKILL would make a crash of it.
"""

import logging
import os
import threading

logger = logging.getLogger("purpleflea.agent")


def leave_within(seconds: float, exit_code: int = 0) -> None:
    """End the process that many seconds from now, whatever it is doing, unless it ended by itself before."""
    timer = threading.Timer(seconds, _leave, args=(exit_code,))
    timer.daemon = True
    timer.start()


def _leave(exit_code: int) -> None:
    logger.warning("Not all telemetry was handed over in time; leaving without it")
    os._exit(exit_code)
