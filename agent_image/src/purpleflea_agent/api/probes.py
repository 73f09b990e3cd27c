"""Probes and views: process health, readiness, status, trading mode. Open to all: they say no secrets."""

from fastapi import APIRouter

from purpleflea_agent import metrics
from purpleflea_agent.api.bodies import ControlAnswer, PositionAnswer, StatusAnswer
from purpleflea_agent.api.problems import Problem
from purpleflea_agent.services import Services


def router(services: Services) -> APIRouter:
    """Routes over a running agent."""
    routes = APIRouter()

    @routes.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process answers and its trading loop runs."""
        if not services.loop.is_running:
            raise Problem(503, "not_running", "the trading loop does not run: restart the process")
        return {"status": "ok"}

    @routes.get("/readyz")
    async def readyz() -> dict[str, str]:
        """The agent can trade, or is halted on purpose."""
        obstacle = _obstacle(services)
        if obstacle is not None:
            raise Problem(503, "not_ready", obstacle)
        return {"status": "halted" if services.control.is_halted else "ready"}

    @routes.get("/v1/control")
    async def control() -> ControlAnswer:
        """The trading mode that the agent acts on: the acknowledgement of control.json."""
        services.control.refresh()
        word = services.control.control
        return ControlAnswer(
            mode=word.mode,
            generation=word.generation,
            since=services.control.since,
            sending=services.desk.is_sending,
        )

    @routes.get("/v1/status")
    async def status() -> StatusAnswer:
        """Positions, profit, orders and losses of telemetry."""
        return await _status(services)

    return routes


def _obstacle(services: Services) -> str | None:
    if services.control.is_halted:
        return None
    if services.key_file.key() is None:
        return f"the API key file {services.key_file.path} is missing or empty"
    if not services.account.is_known:
        return "the exchange was not reached yet"
    return None


async def _status(services: Services) -> StatusAnswer:
    account = services.account
    positions = tuple(
        PositionAnswer(
            market=item.market,
            size=item.size,
            mark_price=item.mark_price,
            notional_usd=item.notional_usd,
            unrealized_pnl_usd=item.unrealized_pnl_usd,
            realized_pnl_usd=item.realized_pnl_usd,
        )
        for item in account.portfolio.positions
    )
    return StatusAnswer(
        agent_id=services.environment.agent_id,
        strategy=services.settings.strategy,
        mode=services.control.control.mode,
        markets=services.settings.markets,
        positions=positions,
        realized_pnl_usd=account.realized_pnl,
        equity_usd=account.portfolio.equity_usd,
        peak_equity_usd=account.peak_equity_usd,
        drawdown_pct=round(account.drawdown_pct, 4),
        balance_usd=account.balance_usd,
        orders=await services.journal.counts(),
        telemetry_dropped=metrics.emitter().dropped(),
    )
