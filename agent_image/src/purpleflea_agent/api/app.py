"""The FastAPI application of a running agent: its routes, and the start and stop of the agent with the server.

ddtrace-run instruments FastAPI. No trace middleware is added here, because each request would get two spans.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from importlib import metadata

from fastapi import FastAPI

from purpleflea_agent.api import health_routes, order_routes, problems, trading_routes
from purpleflea_agent.application import Application
from purpleflea_sdk.http.request_limits import BodyLimit, RequestLimit

MAX_BODY_BYTES = 64 * 1024
"""An order has less than 1 KiB. Every open connection may hold a body, with or without a token."""


def create_app(agent: Application) -> FastAPI:
    """Create the application; serving it runs the agent."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        started = asyncio.Event()
        running = asyncio.create_task(agent.run(started), name="agent")
        await started.wait()
        try:
            yield
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    app = FastAPI(
        title="Purple Flea trading agent",
        version=metadata.version("purpleflea-agent"),
        lifespan=lifespan,
    )
    app.include_router(health_routes.router(agent))
    app.include_router(trading_routes.router(agent))
    app.include_router(order_routes.router(agent))
    problems.install(app)
    app.add_middleware(RequestLimit)
    app.add_middleware(BodyLimit, max_bytes=MAX_BODY_BYTES)  # added last, so it runs first
    return app
