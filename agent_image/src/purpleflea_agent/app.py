"""The FastAPI application over a running agent: routes, and the agent's life inside the server's.

ddtrace-run instruments FastAPI by itself; no trace middleware is added, or each request would have two spans.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from importlib import metadata

from fastapi import FastAPI

from purpleflea_agent.api import money, probes, problems
from purpleflea_agent.api.intake import WholeBody
from purpleflea_agent.services import Services


def application(services: Services) -> FastAPI:
    """The application; serving it runs the agent."""

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        started = asyncio.Event()
        agent = asyncio.create_task(services.run(started), name="agent")
        await started.wait()
        try:
            yield
        finally:
            agent.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await agent

    app = FastAPI(
        title="Purple Flea trading agent",
        version=metadata.version("purpleflea-agent"),
        lifespan=life,
    )
    app.include_router(probes.router(services))
    app.include_router(money.router(services))
    app.add_middleware(WholeBody)
    problems.install(app)
    return app
