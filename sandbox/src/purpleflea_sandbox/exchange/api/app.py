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
from purpleflea_sandbox.exchange.api.entrance import Premises
from purpleflea_sandbox.exchange.api.fault_injection import FaultInjection
from purpleflea_sandbox.exchange.api.models import Problem
from purpleflea_sandbox.exchange.house import House

TICK_S = 0.25

logger = logging.getLogger(__name__)


def application(house: House) -> FastAPI:
    """Return the application for a state; its storage is closed when the application ends."""
    app = FastAPI(
        title="Purple Flea paper exchange",
        version="0.1.0",
        summary="Trading, wallet, escrow and faucet with paper money: the Seed API.",
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        # Required so that the $ref of documented() resolves.
        responses={500: {"model": Problem, "description": "Internal error"}},
    )
    app.state.house = house
    for router in (trading.router, funds.router, admin.router):
        app.include_router(router)
    app.add_api_route("/healthz", _healthz, tags=["health"], methods=["GET"])
    app.add_api_route("/readyz", _readyz, tags=["health"], methods=["GET"])
    app.add_middleware(BodyLimit)
    app.add_middleware(FaultInjection, house=house)
    problems.install(app)
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    house: House = app.state.house
    ticker = asyncio.create_task(_tick(house), name="exchange-ticker")
    try:
        yield
    finally:
        ticker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticker
        house.close()


async def _tick(house: House) -> None:
    while True:
        try:
            house.tick()
        except Exception:
            # Catch everything here, because a full disk must not stop the settlement of orders
            # permanently.
            logger.exception("tick failed")
        await asyncio.sleep(TICK_S)


async def _healthz() -> dict[str, str]:
    """Return 200 if the process responds."""
    return {"status": "ok"}


async def _readyz(premises: Premises) -> dict[str, str]:
    """Return 200 if the storage responds."""
    premises.venue.database.row("SELECT 1")
    return {"status": "ready"}
