"""HTTP server of the application: uvicorn, one process, and connections that faults can reset.

running() serves the exchange inside an existing event loop, for tests.
"""

import asyncio
import contextlib
import socket
from asyncio import transports
from collections.abc import AsyncIterator, Iterator

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from purpleflea_sandbox.exchange.api.app import application
from purpleflea_sandbox.exchange.api.fault_injection import TRANSPORT
from purpleflea_sandbox.exchange.app_state import AppState
from purpleflea_sandbox.exchange.errors import SettingsError

# Longer than the pool timeout of clients. If the server closes an idle connection first, a POST can
# fail although it was never read.
KEEP_ALIVE_S = 75
SHUTDOWN_S = 3


class ResettableProtocol(H11Protocol):
    """Passes the transport of each connection to the application."""

    def connection_made(self, transport: transports.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, TRANSPORT: transport}


def listener(host: str, port: int) -> socket.socket:
    """Return a bound socket, so that a port conflict gives a clear message and an assigned port is
    known.

    Raises SettingsError if the address is not available.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"EXCHANGE_PORT: cannot listen on {host}:{port} ({error}); choose another port"
        ) from error
    # Accepted connections inherit this option. asyncio sets it only on sockets with an explicit
    # protocol, which these sockets do not have. Without it the kernel delays the second half of
    # many responses by 40 ms.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bound


def configuration(state: AppState) -> uvicorn.Config:
    return uvicorn.Config(
        application(state),
        loop="asyncio",
        http=ResettableProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )


class EmbeddedServer(uvicorn.Server):
    """Server inside an existing event loop: it installs no signal handlers and signals when the
    start has finished.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.startup_finished = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.startup_finished.set()


@contextlib.asynccontextmanager
async def running(state: AppState) -> AsyncIterator[str]:
    """Serve the exchange on a free loopback port; yield its base URL."""
    bound = listener("127.0.0.1", 0)
    instance = EmbeddedServer(configuration(state))
    serving = asyncio.create_task(instance.serve([bound]), name="exchange-server")
    try:
        await instance.startup_finished.wait()
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        instance.should_exit = True
        await serving
        bound.close()
