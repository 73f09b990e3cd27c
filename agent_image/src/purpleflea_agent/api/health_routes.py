"""Routes that need no token: health, readiness, metrics, status, trading mode. Their answers contain no secrets.

The status has the account's data only for requests that may get it (module token).
"""

import asyncio
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response

from purpleflea_agent.api.bodies import (
    STATUS,
    HealthAnswer,
    PositionAnswer,
    PublicStatusAnswer,
    StatusAnswer,
    TodayAnswer,
)
from purpleflea_agent.api.order_routes import order_answer
from purpleflea_agent.api.problems import Problem, documented
from purpleflea_agent.api.token import account_check
from purpleflea_agent.application import Application
from purpleflea_contract import quantities
from purpleflea_contract.control import Acknowledgement, Mode
from purpleflea_sdk.telemetry import drop_counters, metrics

METRICS_EXAMPLE = """\
# HELP agent_positions_open_count Open positions of the market.
# TYPE agent_positions_open_count gauge
agent_positions_open_count{agent_id="momentum-0",market="btc-usd",strategy="momentum"} 1.0
"""
MAX_OPEN_ORDERS = 50
MAX_MISMATCHES = 64
STALE_INTERVALS = 2
STALENESS_MARGIN_S = 30.0
"""Time beyond STALE_INTERVALS after which the exchange counts as unreachable."""
_MODES: dict[Mode, Literal["ready", "halted", "stopped"]] = {
    Mode.ACTIVE: "ready",
    Mode.HALTED: "halted",
    Mode.STOPPED: "stopped",
}


def router(agent: Application) -> APIRouter:
    """Create the routes of a running agent."""
    routes = APIRouter()
    # One at a time, because each reads the journal, whose thread also writes orders and reports about a halt.
    status_lock = asyncio.Lock()

    @routes.get("/healthz", responses=documented(503))
    async def healthz() -> HealthAnswer:
        """The process answers and its trading loop runs."""
        if not agent.loop.is_running:
            raise Problem(503, "not_running", "the trading loop does not run: restart the process")
        return HealthAnswer(status="ok")

    @routes.get("/readyz", responses=documented(503))
    async def readyz() -> HealthAnswer:
        """The agent can trade, or its mode is Halted or Stopped."""
        reason = _not_ready_reason(agent)
        if reason is not None:
            raise Problem(503, "not_ready", reason)
        return HealthAnswer(status=_MODES[agent.control.mode])

    @routes.get("/v1/control")
    async def control() -> Acknowledgement:
        """Acknowledgement of control.json: the trading mode that the agent acts on."""
        return await agent.control.acknowledge(agent.drain.report)

    @routes.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"example": METRICS_EXAMPLE}}}},
    )
    async def metrics_page(request: Request) -> Response:
        """Every metric of the contract: OpenMetrics if the Accept header requests it, else Prometheus text."""
        page, content_type = metrics.emitter().exposed(request.headers.get("accept", ""))
        return Response(page, headers={"Content-Type": content_type})

    @routes.get(
        "/v1/status",
        responses={
            200: {"content": {"application/json": {"example": STATUS}}},
            **documented(401, 503),
        },
    )
    async def status(
        may_read_account: Annotated[bool, Depends(account_check(agent))],
    ) -> StatusAnswer | PublicStatusAnswer:
        """Dropped telemetry; positions, profit and orders for a request that may get the account's data."""
        if not may_read_account:
            return PublicStatusAnswer(**_public_status(agent), account_data="hidden")
        async with status_lock:
            return await _status(agent)

    return routes


def _not_ready_reason(agent: Application) -> str | None:
    if agent.control.is_halted:
        return None
    if agent.key_file.key() is None:
        return f"the API key file {agent.key_file.path} is missing or empty"
    if agent.journal.write_error is not None:
        return f"no order can be written to the journal: {agent.journal.write_error}"
    if agent.loop.problem is not None:
        return agent.loop.problem
    interval = quantities.duration(agent.settings.trading.interval)
    account = agent.account
    return staleness(account.since_refresh_s, interval=interval, problem=account.problem)


def staleness(
    since_refresh_s: float | None, *, interval: timedelta, problem: str | None = None
) -> str | None:
    """Describe an account that was last read too long ago (None: never); None if it is recent enough.

    `problem` is the cause. The text has no time, because the operator reports it in a condition.
    """
    if since_refresh_s is None:
        return problem or "the exchange was not reached yet"
    if since_refresh_s > STALE_INTERVALS * interval.total_seconds() + STALENESS_MARGIN_S:
        return problem or "the trading interval takes too long, so the account is out of date"
    return None


def _public_status(agent: Application) -> dict[str, Any]:
    dropped = drop_counters.counts()
    return {
        "agent_id": agent.environment.agent_id,
        "strategy": agent.settings.strategy,
        "mode": agent.control.mode,
        "markets": agent.settings.markets,
        "telemetry_dropped": sum(dropped.values()),
        "telemetry_dropped_by_signal": dropped,
        "position_mismatches": tuple(sorted(agent.account.mismatched_markets))[:MAX_MISMATCHES],
        "tag_values_replaced": {
            name: tuple(values) for name, values in metrics.emitter().replaced_values.items()
        },
    }


async def _status(agent: Application) -> StatusAnswer:
    account = agent.account
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
    unfinished = await agent.journal.unfinished()
    day, daily_stats = await agent.journal.today()
    return StatusAnswer(
        **_public_status(agent),
        account_data="shown",
        positions=positions,
        realized_pnl_usd=account.realized_pnl,
        fees_usd=dict(account.fees_usd),
        equity_usd=account.portfolio.equity_usd,
        peak_equity_usd=account.peak_equity_usd,
        drawdown_pct=round(account.drawdown_pct, 4),
        balance_usd=account.balance_usd,
        orders=await agent.journal.counts(),
        open_orders=tuple(order_answer(entry) for entry in unfinished[: -MAX_OPEN_ORDERS - 1 : -1]),
        today=TodayAnswer.model_validate({"day": day, **daily_stats}),
        escrows=await agent.journal.escrow_counts(),
    )
