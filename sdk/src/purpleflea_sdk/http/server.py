"""uvicorn with the limits and the exit of an agent, for an ASGI application."""

import math
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from purpleflea_sdk import exit_deadline
from purpleflea_sdk.http.asgi import Application
from purpleflea_sdk.http.open_connections import ACCEPTED_AT_ONCE, enlarge_accept_queue
from purpleflea_sdk.http.request_limits import TimeoutProtocol
from purpleflea_sdk.settings import Environment


class Server(uvicorn.Server):
    """uvicorn with an exit deadline that starts at the signal, and an agent that sends no order after it."""

    def __init__(
        self,
        app: Application,
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
                backlog=ACCEPTED_AT_ONCE,
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

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the agent, and then accept connections."""
        await super().startup(sockets)
        for listener in sockets or ():
            enlarge_accept_queue(listener)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish the requests and the agent; from here on only telemetry is left, and its time is bounded."""
        await super().shutdown(sockets)
        exit_deadline.exit_within(exit_deadline.TELEMETRY_TIMEOUT_S, self._exit_code())
