"""python -m purpleflea_operator: run the operator.

Exit 1 with one line where it cannot start, 3 where it lost its lease.
"""

import asyncio
import logging
import signal
import sys

import uvloop
from pydantic import ValidationError

from purpleflea_operator import app, logs
from purpleflea_operator.runtime import lifecycle
from purpleflea_operator.runtime.leader_election.elector import LeaseLostError
from purpleflea_operator.settings import Settings

LEASE_LOST = 3


def main() -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        print(f"purpleflea-operator: PURPLEFLEA_OPERATOR_{name}: {first['msg']}", file=sys.stderr)
        return 1
    logs.configure(settings.log_level)
    # As process 1 of a container a default action does nothing; the loop takes over once it runs.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(app.run(settings))
    except lifecycle.StartError as error:
        print(f"purpleflea-operator: {error}", file=sys.stderr)
        return 1
    except LeaseLostError as error:
        # Whatever of it still runs may not write: the sure way to end it is to end the process.
        logging.getLogger(__name__).error("lease lost", extra={"error": str(error)})
        return LEASE_LOST
    return 0


if __name__ == "__main__":
    sys.exit(main())
