"""The HTTP server around the application: uvicorn, one process, and connections that faults can reset.

running() is the whole exchange inside somebody else's event loop, for tests.
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
from purpleflea_sandbox.exchange.errors import SettingsError
from purpleflea_sandbox.exchange.house import House

# Longer than clients pool connections: a server that closes first makes a POST fail that was never read.
KEEP_ALIVE_S = 75
SHUTDOWN_S = 3


class ResettableProtocol(H11Protocol):
    """Hands each connection's transport to the application."""

    def connection_made(self, transport: transports.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, TRANSPORT: transport}


def listener(host: str, port: int) -> socket.socket:
    """A bound socket, so that a taken port is a clear message and port 0 is known."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"EXCHANGE_PORT: cannot listen on {host}:{port} ({error}); choose another port"
        ) from error
    # Connections inherit it. asyncio sets it only on sockets that name their protocol, which these do not, and
    # without it the kernel holds back the second half of many answers for 40 ms.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bound


def configuration(house: House) -> uvicorn.Config:
    return uvicorn.Config(
        application(house),
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
    """Runs in somebody else's event loop: leaves the signals alone and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.decided = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.decided.set()


@contextlib.asynccontextmanager
async def running(house: House) -> AsyncIterator[str]:
    """Serve the house on a free loopback port; gives its base URL."""
    bound = listener("127.0.0.1", 0)
    instance = EmbeddedServer(configuration(house))
    serving = asyncio.create_task(instance.serve([bound]), name="exchange-server")
    try:
        await instance.decided.wait()
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        instance.should_exit = True
        await serving
        bound.close()
