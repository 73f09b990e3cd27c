"""A deadline for the exit of the process.

If a trace agent accepts connections and never answers, ddtrace 4 delays the exit for most of a minute. A resolver or a
disk that never answers can delay it without a limit. The kubelet would then send SIGKILL, and the pod would count as
crashed.
"""

import logging
import os
import threading
from collections.abc import Callable

TELEMETRY_TIMEOUT_S = 2.5
"""Time from the end of the work to the end of the process, for telemetry that is still to be sent."""
WARNING_BEFORE_S = 0.5
"""Time between the log line and the end of the process, so that the line can be written."""

logger = logging.getLogger("purpleflea.agent")


def exit_within(seconds: float, exit_code: int = 0) -> None:
    """End the process after that many seconds, unless it ended before. The first of several deadlines applies."""
    # Two threads, because logging calls code of handlers and values. Whatever it does, the process ends.
    _start(max(0.0, seconds - WARNING_BEFORE_S), _warn)
    _start(seconds, os._exit, exit_code)


def _start(seconds: float, function: Callable[..., None], *args: int) -> None:
    timer = threading.Timer(seconds, function, args=args)
    timer.daemon = True
    timer.start()


def _warn() -> None:
    logger.warning("Exit deadline reached; some telemetry was not sent")
