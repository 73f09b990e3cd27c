"""The FastAPI application of the exchange: routes, errors, faults, and the background task with the
same lifetime.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from fastapi import FastAPI

from purpleflea_sandbox.exchange.api import admin, funds, problems, trading
from purpleflea_sandbox.exchange.api.body_limit import BodyLimit
from purpleflea_sandbox.exchange.api.dependencies import State
from purpleflea_sandbox.exchange.api.fault_injection import FaultInjection
from purpleflea_sandbox.exchange.api.models import Problem
from purpleflea_sandbox.exchange.app_state import AppState

TICK_S = 0.25

logger = logging.getLogger(__name__)


def application(state: AppState) -> FastAPI:
    """Return the application for a state; its storage is closed when the application ends."""
    app = FastAPI(
        title="Purple Flea paper exchange",
        version="0.1.0",
        summary="Trading, wallet, escrow and faucet with paper money: the Seed dialect.",
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        # Required so that the $ref of documented() resolves.
        responses={500: {"model": Problem, "description": "Internal error"}},
    )
    app.state.exchange = state
    for router in (trading.router, funds.router, admin.router):
        app.include_router(router)
    app.add_api_route("/healthz", _healthz, tags=["health"], methods=["GET"])
    app.add_api_route("/readyz", _readyz, tags=["health"], methods=["GET"])
    app.add_middleware(BodyLimit)
    app.add_middleware(FaultInjection, state=state)
    problems.install(app)
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state: AppState = app.state.exchange
    ticker = asyncio.create_task(_tick(state), name="exchange-ticker")
    try:
        yield
    finally:
        ticker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticker
        state.close()


async def _tick(state: AppState) -> None:
    while True:
        try:
            state.tick()
        except Exception:
            # Catch everything here, because a full disk must not stop the settlement of orders
            # permanently.
            logger.exception("tick failed")
        await asyncio.sleep(TICK_S)


async def _healthz() -> dict[str, str]:
    """Return 200 if the process responds."""
    return {"status": "ok"}


async def _readyz(state: State) -> dict[str, str]:
    """Return 200 if the storage responds."""
    state.venue.database.row("SELECT 1")
    return {"status": "ready"}
