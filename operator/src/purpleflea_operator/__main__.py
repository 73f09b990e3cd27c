"""Command line of the operator: `python -m purpleflea_operator [--SETTING=VALUE ...]`. The chart runs
`... install-check NAME` as its test, and `... uninstall-check` before it is uninstalled. `... render` renders an agent
without a cluster.

Exit codes: 0 after SIGTERM or SIGINT, 1 with one line on stderr if the operator cannot start, 3 if it lost its lease.
"""

import asyncio
import gc
import logging
import os
import signal
import sys

import uvloop
from pydantic import ValidationError

from purpleflea_operator import app, install_check, logs, offline_render, timings, uninstall_check
from purpleflea_operator.runtime import lifecycle
from purpleflea_operator.runtime.leader_election.elector import LeaseLostError
from purpleflea_operator.settings import ArgumentError, OperatorSettings

LEASE_LOST = 3
GC_THRESHOLD = 2_000
"""Allocated objects after which the garbage collector runs. Each tenth collection visits those of the ten before, so it
blocks the event loop longer with a higher threshold: for up to 45 ms with 5,000 objects."""


def main() -> int:
    """Run until SIGTERM or SIGINT, or run the command of the first argument. Return the exit code."""
    if sys.argv[1:] == [uninstall_check.COMMAND]:
        return uninstall_check.main()
    if sys.argv[1:] == [offline_render.COMMAND]:
        return offline_render.main()
    if sys.argv[1:2] == [install_check.COMMAND]:
        return install_check.main("".join(sys.argv[2:3]))
    try:
        settings = OperatorSettings.of_arguments(sys.argv[1:])
    except ArgumentError as error:
        print(f"purpleflea-operator: {error}", file=sys.stderr)
        return 1
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = "_".join(str(part) for part in ("PURPLEFLEA_OPERATOR", *first["loc"])).upper()
        print(f"purpleflea-operator: {name}: {first['msg']}", file=sys.stderr)
        return 1
    logs.configure(settings.log_level)
    # With the default threshold of 700 objects, the collector needs 5 % of the CPU time at the creation of agents.
    gc.set_threshold(GC_THRESHOLD)
    # The kernel ignores a default action for process 1 of a container. The event loop replaces this handler later.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                runner.run(app.run(settings))
            finally:
                # The lease is released now. A task that ignores its cancellation must not keep the process.
                signal.signal(signal.SIGALRM, lambda *_: os._exit(1))
                signal.alarm(timings.EXIT_LIMIT_S)
    except lifecycle.StartError as error:
        print(f"purpleflea-operator: {error}", file=sys.stderr)
        return 1
    except LeaseLostError as error:
        # A remaining task could write although another replica leads. Only the end of the process prevents this.
        logging.getLogger(__name__).error("lost the lease; exiting", extra={"error": str(error)})
        return LEASE_LOST
    return 0


if __name__ == "__main__":
    sys.exit(main())
