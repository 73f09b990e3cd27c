"""A deadline for the exit of the process.

If a trace agent accepts connections and never answers, ddtrace 4 delays the exit for most of a minute. The kubelet
would then send SIGKILL, and the pod would count as crashed.
"""

import logging
import os
import threading

logger = logging.getLogger("purpleflea.agent")


def exit_within(seconds: float, exit_code: int = 0) -> None:
    """End the process after that many seconds, unless it ended before."""
    timer = threading.Timer(seconds, _exit, args=(exit_code,))
    timer.daemon = True
    timer.start()


def _exit(exit_code: int) -> None:
    logger.warning("Exit deadline reached; some telemetry was not sent")
    os._exit(exit_code)
