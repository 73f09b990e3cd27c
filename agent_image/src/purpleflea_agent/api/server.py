"""The HTTP server of a process: its socket, its limits, and the exit that begins at the signal."""

import math
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from purpleflea_agent import exit_deadline
from purpleflea_agent.api.listener import bound_socket
from purpleflea_agent.api.request_limits import MAX_CONNECTIONS, TimeoutProtocol
from purpleflea_agent.settings import Environment

CANNOT_BIND = (
    "Cannot bind the HTTP port; set PURPLEFLEA_HTTP_HOST and PURPLEFLEA_HTTP_PORT to a free address"
)


class Server(uvicorn.Server):
    """uvicorn with an exit deadline that starts at the signal, and an agent that sends no order after it."""

    def __init__(
        self,
        app: FastAPI,
        environment: Environment,
        *,
        at_exit: Callable[[], None],
        exit_code: Callable[[], int] = lambda: 0,
    ) -> None:
        """`at_exit` runs in the signal handler. `exit_code` is read when the work is done."""
        super().__init__(
            uvicorn.Config(
                app,
                host=environment.http_host,
                port=environment.http_port,
                loop="asyncio",  # the only event loop in the image
                log_config=None,
                access_log=False,
                http=TimeoutProtocol,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_graceful_shutdown=math.ceil(environment.requests_timeout_s),
            )
        )
        self._exit_timeout_s = environment.exit_timeout_s
        self._at_exit = at_exit
        self._exit_code = exit_code

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the exit at once, because uvicorn may wait for open requests before it stops the agent."""
        if not self.should_exit:
            exit_deadline.exit_within(self._exit_timeout_s)
            self._at_exit()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish the requests and the agent; from here on only telemetry is left, and its time is bounded."""
        await super().shutdown(sockets)
        exit_deadline.exit_within(exit_deadline.TELEMETRY_TIMEOUT_S, self._exit_code())


def keep_early_signals() -> list[int]:
    """Record signals that arrive before the server runs, instead of dropping them or ending the process.

    The kernel drops a signal without a handler if it is sent to the first process of a container. After a graceful
    stop, uvicorn raises the signal again, which would kill a process that is not the first.
    """
    early_signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda sig, _: early_signals.append(sig))
    return early_signals


def listener(environment: Environment) -> socket.socket:
    """Return the bound socket of the server.

    Raises:
        OSError: The address cannot be bound.
    """
    bound = bound_socket(environment.http_host, environment.http_port)
    # Accepted connections inherit this option. asyncio sets it only on sockets with an explicit protocol, which the
    # socket of uvicorn does not have. Without the option the kernel delays the second part of an answer by 40 ms.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bound
