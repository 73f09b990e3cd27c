"""Run the agent: `ddtrace-run python -m purpleflea_agent`. One process, one event loop, exit code 0 on SIGTERM.

If the user must change something, the process ends at once with one log line and exit code 2.
"""

import gc
import logging
import math
import signal
import socket
import sys
from types import FrameType

import uvicorn

from purpleflea_agent import application, exit_deadline
from purpleflea_agent.api.app import create_app
from purpleflea_agent.api.listener import bound_socket
from purpleflea_agent.api.request_limits import MAX_CONNECTIONS, TimeoutProtocol
from purpleflea_agent.application import Application
from purpleflea_agent.journal import JournalError
from purpleflea_agent.settings import SettingsError, partial_environment, read_environment
from purpleflea_agent.telemetry import logs, metrics, tracing
from purpleflea_agent.telemetry.dogstatsd import create_emitter, warn_if_no_receiver
from purpleflea_agent.trading.strategies import UnknownStrategy

USER_ERROR = 2


class Server(uvicorn.Server):
    """uvicorn with an exit deadline that starts at the signal, and an agent that sends no order after it."""

    def __init__(self, config: uvicorn.Config, *, agent: Application) -> None:
        super().__init__(config)
        self._agent = agent

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the exit at once, because uvicorn may wait for open requests before it stops the agent."""
        if not self.should_exit:
            exit_deadline.exit_within(self._agent.environment.exit_timeout_s)
            self._agent.end()
        super().handle_exit(sig, frame)


def main() -> int:
    """Serve until a signal arrives; return the exit code of the process."""
    early_signals: list[int] = []
    # The kernel drops a signal without a handler if it is sent to the first process of a container. After a graceful
    # stop, uvicorn raises the signal again, which would kill a process that is not the first.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda sig, _: early_signals.append(sig))
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
    config = uvicorn.Config(
        create_app(agent),
        host=environment.http_host,
        port=environment.http_port,
        loop="asyncio",  # the only event loop in the image
        log_config=None,
        access_log=False,
        http=TimeoutProtocol,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=math.ceil(environment.requests_timeout_s),
    )
    server = Server(config, agent=agent)
    try:
        listener = _listener(environment.http_host, environment.http_port)
    except OSError as error:
        logging.getLogger("purpleflea.agent").critical(
            "Cannot bind the HTTP port; set PURPLEFLEA_HTTP_HOST and PURPLEFLEA_HTTP_PORT to a free address",
            extra={"error": str(error)},
        )
        return USER_ERROR
    logging.getLogger("purpleflea.agent").info(
        "Listening", extra={"http_port": listener.getsockname()[1]}
    )
    # Objects that exist now live as long as the process. Without freeze the collector would scan them while an order
    # waits.
    gc.collect()
    gc.freeze()
    if early_signals:
        return 0
    server.run(sockets=[listener])
    return 0 if server.started else 1


def _listener(host: str, port: int) -> socket.socket:
    listener = bound_socket(host, port)
    # Accepted connections inherit this option. asyncio sets it only on sockets with an explicit protocol, which the
    # socket of uvicorn does not have. Without the option the kernel delays the second part of an answer by 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


if __name__ == "__main__":
    sys.exit(main())
