"""Probes and views: process health, readiness, status, trading mode. Open to all: they say no secrets."""

from datetime import timedelta
from typing import Literal

from fastapi import APIRouter, Request, Response

from purpleflea_agent import losses, metrics
from purpleflea_agent.api.bodies import (
    HealthAnswer,
    PositionAnswer,
    StatusAnswer,
    TodayAnswer,
)
from purpleflea_agent.api.problems import Problem, documented
from purpleflea_agent.journal import JournalError
from purpleflea_agent.services import Services
from purpleflea_contract import quantities
from purpleflea_contract.control import Acknowledgement, Mode

METRICS_EXAMPLE = """\
# HELP agent_positions_open_count Open positions of the market.
# TYPE agent_positions_open_count gauge
agent_positions_open_count{agent_id="momentum-0",market="btc-usd",strategy="momentum"} 1.0
"""
MISSED_INTERVALS = 2
PATIENCE_S = 30.0
"""An exchange that is silent for that long, beyond the intervals, is no exchange to trade at."""
_MODES: dict[Mode, Literal["ready", "halted", "stopped"]] = {
    Mode.ACTIVE: "ready",
    Mode.HALTED: "halted",
    Mode.STOPPED: "stopped",
}


def router(services: Services) -> APIRouter:
    """Routes over a running agent."""
    routes = APIRouter()

    @routes.get("/healthz", responses=documented(503))
    async def healthz() -> HealthAnswer:
        """The process answers and its trading loop runs."""
        if not services.loop.is_running:
            raise Problem(503, "not_running", "the trading loop does not run: restart the process")
        return HealthAnswer(status="ok")

    @routes.get("/readyz", responses=documented(503))
    async def readyz() -> HealthAnswer:
        """The agent can trade, or rests on purpose."""
        obstacle = _obstacle(services)
        if obstacle is not None:
            raise Problem(503, "not_ready", obstacle)
        return HealthAnswer(status=_MODES[services.control.control.mode])

    @routes.get("/v1/control")
    async def control() -> Acknowledgement:
        """The trading mode that the agent acts on: the acknowledgement of control.json."""
        services.control.refresh()
        rest = services.rest
        return services.control.acknowledged(
            at_rest=await _is_at_rest(services),
            sending=_is_sending(services),
            flattened=rest.flattened,
            left_undone=rest.left_undone,
        )

    @routes.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"example": METRICS_EXAMPLE}}}},
    )
    async def exposed(request: Request) -> Response:
        """Every metric of the contract, as OpenMetrics where the reader asks for it, else as Prometheus text."""
        page, content_type = metrics.emitter().exposed(request.headers.get("accept", ""))
        return Response(page, headers={"Content-Type": content_type})

    @routes.get("/v1/status", responses=documented(503))
    async def status() -> StatusAnswer:
        """Positions, profit, orders and losses of telemetry."""
        return await _status(services)

    return routes


def _is_sending(services: Services) -> bool:
    return services.desk.is_sending or services.escrows.is_sending


async def _is_at_rest(services: Services) -> bool:
    control = services.control
    if not control.is_halted or _is_sending(services):
        return False
    return services.rest.is_reached if control.is_stopped else await _nothing_is_open(services)


async def _nothing_is_open(services: Services) -> bool:
    """Whether the outcome of everything that was sent is known; not while nobody can tell."""
    try:
        orders = await services.journal.unfinished()
        escrows = await services.journal.unfinished_escrows()
    except JournalError:
        return False
    return not any(entry.is_unsettled for entry in orders) and not any(
        entry.is_unsettled for entry in escrows
    )


def _obstacle(services: Services) -> str | None:
    if services.control.is_halted:
        return None
    if services.key_file.key() is None:
        return f"the API key file {services.key_file.path} is missing or empty"
    if services.journal.trouble is not None:
        return f"no order can be written to the journal: {services.journal.trouble}"
    interval = quantities.duration(services.settings.trading.interval)
    return silence(services.account.silent_s, interval=interval)


def silence(silent_s: float | None, *, interval: timedelta) -> str | None:
    """What to say of an exchange that last told about the account so long ago (None: never); None where all is well."""
    if silent_s is None:
        return "the exchange was not reached yet"
    if silent_s > MISSED_INTERVALS * interval.total_seconds() + PATIENCE_S:
        return f"the exchange has not told about the account for {silent_s:.0f} s"
    return None


async def _status(services: Services) -> StatusAnswer:
    account = services.account
    lost = losses.counted()
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
    day, counted = await services.journal.today()
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
        today=TodayAnswer.model_validate({"day": day, **counted}),
        escrows=await services.journal.escrow_counts(),
        telemetry_dropped=sum(lost.values()),
        telemetry_dropped_by_signal=lost,
    )
