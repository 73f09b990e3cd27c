"""Run the agent: `ddtrace-run python -m purpleflea_agent`. One process, one event loop, exit 0 on SIGTERM.

What the user got wrong ends it at once with one clear line and exit code 2.
"""

import gc
import logging
import math
import signal
import socket
import sys
from types import FrameType

import uvicorn

from purpleflea_agent import ending, logs, metrics, receivers, services, tracing
from purpleflea_agent.api.slow_clients import MOST_CONNECTIONS, PatientProtocol
from purpleflea_agent.app import application
from purpleflea_agent.emitter import emitter_of
from purpleflea_agent.journal import JournalError
from purpleflea_agent.services import Services
from purpleflea_agent.settings import SettingsError, read_environment, readable_environment
from purpleflea_agent.trading.strategies import UnknownStrategy

UNUSABLE = 2


class Server(uvicorn.Server):
    """uvicorn, which from the signal on has only so much time, and whose agent sends no new order."""

    def __init__(self, config: uvicorn.Config, *, agent: Services) -> None:
        super().__init__(config)
        self._agent = agent

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the end: at once, as uvicorn may wait long for requests before it tells the agent."""
        if not self.should_exit:
            ending.leave_within(self._agent.environment.leave_timeout_s)
            self._agent.end()
        super().handle_exit(sig, frame)


def main() -> int:
    """Serve until told to stop; the exit code of the process."""
    told_to_stop: list[int] = []
    # As the first process of a container we would be deaf to a signal that nobody handles. And uvicorn, which stops
    # gracefully, raises it again in the end: that would kill us elsewhere.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda sig, _: told_to_stop.append(sig))
    try:
        environment = read_environment()
    except SettingsError as error:
        logs.configure(readable_environment())
        logging.getLogger("purpleflea.agent").critical(str(error))
        return UNUSABLE
    logs.configure(environment)
    try:
        agent = services.assemble(environment)
    except (SettingsError, JournalError, UnknownStrategy) as error:
        logging.getLogger("purpleflea.agent").critical(str(error))
        return UNUSABLE
    receivers.say_if_there_are_none(environment)
    metrics.install(emitter_of(environment))
    tracing.install(environment)
    config = uvicorn.Config(
        application(agent),
        host=environment.http_host,
        port=environment.http_port,
        loop="asyncio",  # as in the image, which has no other one
        log_config=None,
        access_log=False,
        http=PatientProtocol,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=math.ceil(environment.requests_timeout_s),
    )
    server = Server(config, agent=agent)
    listener = _listener(config)
    logging.getLogger("purpleflea.agent").info(
        "Listening", extra={"http_port": listener.getsockname()[1]}
    )
    # What is there now stays for ever: else the collector goes through it again and again, while an order waits.
    gc.collect()
    gc.freeze()
    if told_to_stop:
        return 0
    server.run(sockets=[listener])
    return 0 if server.started else 1


def _listener(config: uvicorn.Config) -> socket.socket:
    listener = config.bind_socket()
    # Connections inherit it. asyncio sets it only on sockets that name their protocol, which uvicorn's does not, and
    # without it the kernel holds back the second half of an answer for 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


if __name__ == "__main__":
    sys.exit(main())
