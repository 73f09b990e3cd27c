"""Run the agent: `ddtrace-run python -m purpleflea_agent`. One process, one event loop, exit code 0 on SIGTERM.

If the user must change something, the process ends at once with one log line and exit code 2.
"""

import gc
import logging
import sys

from purpleflea_agent import application
from purpleflea_agent.api.app import create_app
from purpleflea_agent.journal import JournalError
from purpleflea_agent.trading.strategy_loading import UnknownStrategy
from purpleflea_sdk import exit_deadline
from purpleflea_sdk.http import listener
from purpleflea_sdk.http.server import Server
from purpleflea_sdk.settings import SettingsError, partial_environment, read_environment
from purpleflea_sdk.telemetry import logs, metrics, tracing
from purpleflea_sdk.telemetry.dogstatsd import create_emitter, warn_if_no_receiver

USER_ERROR = 2


def main() -> int:
    """Serve until a signal arrives; return the exit code of the process."""
    early_signals = listener.keep_early_signals()
    try:
        environment = read_environment()
    except SettingsError as error:
        logs.configure(partial_environment())
        logging.getLogger("purpleflea.agent").critical(str(error))
        return USER_ERROR
    logs.configure(environment)
    try:
        agent = application.assemble(environment)
    except (SettingsError, JournalError, UnknownStrategy) as error:
        logging.getLogger("purpleflea.agent").critical(str(error))
        return USER_ERROR
    warn_if_no_receiver(environment)
    metrics.install(create_emitter(environment))
    tracing.install(environment)
    running = Server(create_app(agent), environment, at_exit=agent.end)
    try:
        bound = listener.listener(environment)
    except OSError as error:
        logging.getLogger("purpleflea.agent").critical(
            listener.CANNOT_BIND, extra={"error": str(error)}
        )
        return USER_ERROR
    logging.getLogger("purpleflea.agent").info(
        "Listening", extra={"http_port": bound.getsockname()[1]}
    )
    # Objects that exist now live as long as the process. Without freeze the collector would scan them while an order
    # waits.
    gc.collect()
    gc.freeze()
    if early_signals:
        return 0
    running.run(sockets=[bound])
    metrics.emitter().close()
    return 0 if running.started else 1


if __name__ == "__main__":
    code = main()
    exit_deadline.exit_within(exit_deadline.TELEMETRY_TIMEOUT_S, code)
    sys.exit(code)
