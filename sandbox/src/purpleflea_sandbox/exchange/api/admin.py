"""Admin API: data for tests and the demo, and the fault API.

It is closed if no admin token is configured.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from purpleflea_sandbox.exchange.api import views
from purpleflea_sandbox.exchange.api.decimals import DecimalInput, DecimalOutput, text
from purpleflea_sandbox.exchange.api.dependencies import State, admin
from purpleflea_sandbox.exchange.api.fault_bodies import FaultBody, FaultView, fault, fault_view
from purpleflea_sandbox.exchange.api.models import (
    OrderView,
    PositionView,
    RequestBody,
    ResponseBody,
)
from purpleflea_sandbox.exchange.api.problems import documented
from purpleflea_sandbox.exchange.core.orders import OrderStatus
from purpleflea_sandbox.exchange.storage import orders
from purpleflea_sandbox.exchange.venue import funding, reports
from purpleflea_sandbox.exchange.venue.reports import AccountReport

router = APIRouter(
    tags=["admin"], dependencies=[Depends(admin)], responses=documented(401, 403, 422)
)


class AccountView(ResponseBody):
    owner: str
    agent_id: str
    cash_usd: DecimalOutput
    equity_usd: DecimalOutput
    positions: list[PositionView]


class CashBody(RequestBody):
    cash_usd: DecimalInput = Field(description="Cash of the account after the request.")


class CashView(ResponseBody):
    owner: str
    agent_id: str
    cash_usd: DecimalOutput


class AccountsView(ResponseBody):
    accounts: list[AccountView]


class AgentOrderView(OrderView):
    agent_id: str


class AgentOrdersView(ResponseBody):
    count: int = Field(description="Number of all matching orders, including those not listed.")
    orders: list[AgentOrderView] = Field(description="Newest first.")


class AgentSummary(ResponseBody):
    owner: str
    agent_id: str
    orders: int
    filled: int
    open: int
    rejected: int
    cancelled: int
    realized_pnl_usd: DecimalOutput
    equity_usd: DecimalOutput


class Summary(ResponseBody):
    orders: int
    agents: list[AgentSummary]


@router.get("/admin/accounts")
async def accounts(state: State) -> AccountsView:
    listed = reports.account_reports(state.venue)
    return AccountsView(accounts=[_account_view(report) for report in listed])


@router.put("/admin/accounts/{owner}/{agent_id}/cash", responses=documented(404))
async def set_cash(
    state: State,
    owner: Annotated[str, Path(max_length=64)],
    agent_id: Annotated[str, Path(max_length=128)],
    body: CashBody,
) -> CashView:
    """Set the cash of an account, for example to simulate a loss (drawdown) or an empty wallet.

    The change is recorded as an entry of the account.
    """
    adjusted = funding.adjust(state.venue, owner, agent_id, body.cash_usd)
    return CashView(
        owner=adjusted.owner, agent_id=adjusted.agent_id, cash_usd=text(adjusted.cash_usd)
    )


@router.get("/admin/orders")
async def agent_orders(
    state: State,
    agent_id: Annotated[str | None, Query(max_length=128)] = None,
    limit: Annotated[int, Query(ge=0, le=10_000)] = 100,
) -> AgentOrdersView:
    """List orders of one agent or of all agents, across all owners."""
    database = state.venue.database
    listed = [
        AgentOrderView(agent_id=agent, **views.order_view(order).model_dump())
        for agent, order in orders.newest_of_agent(database, agent_id, limit)
    ]
    return AgentOrdersView(count=orders.count_of_agent(database, agent_id), orders=listed)


@router.get("/admin/summary")
async def summary(state: State) -> Summary:
    agents = [_agent_summary(report) for report in reports.account_reports(state.venue)]
    return Summary(orders=sum(agent.orders for agent in agents), agents=agents)


@router.get("/faults")
async def faults(state: State) -> list[FaultView]:
    return [fault_view(item) for item in state.fault_registry.installed]


@router.put("/faults")
async def install_faults(
    state: State, body: Annotated[list[FaultBody], Field(max_length=100)]
) -> list[FaultView]:
    """Replace all faults; they are evaluated in the given sequence."""
    state.install_faults(tuple(fault(item) for item in body))
    return [fault_view(item) for item in state.fault_registry.installed]


@router.delete("/faults", status_code=204)
async def remove_faults(state: State) -> None:
    state.install_faults(())


def _account_view(report: AccountReport) -> AccountView:
    positions = views.positions_view(report.holdings)
    return AccountView(
        owner=report.account.owner,
        agent_id=report.account.agent_id,
        cash_usd=text(report.account.cash_usd),
        equity_usd=positions.equity_usd,
        positions=positions.positions,
    )


def _agent_summary(report: AccountReport) -> AgentSummary:
    return AgentSummary(
        owner=report.account.owner,
        agent_id=report.account.agent_id,
        orders=report.order_counts.orders,
        filled=report.count(OrderStatus.FILLED),
        open=report.count(OrderStatus.OPEN),
        rejected=report.count(OrderStatus.REJECTED),
        cancelled=report.count(OrderStatus.CANCELLED),
        realized_pnl_usd=text(report.realized_pnl_usd),
        equity_usd=text(report.holdings.equity_usd),
    )
