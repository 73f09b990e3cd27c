"""The admin API: what tests and the demo read, and the fault switchboard. Closed without an admin token."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field, model_validator

from purpleflea_sandbox.exchange.api import views
from purpleflea_sandbox.exchange.api.decimals import DecimalInput, DecimalOutput, text
from purpleflea_sandbox.exchange.api.entrance import Premises, admin
from purpleflea_sandbox.exchange.api.models import Answer, Body, OrderView, PositionView
from purpleflea_sandbox.exchange.api.problems import documented
from purpleflea_sandbox.exchange.core.faults import MAX_MS, Fault, FaultKind, Installed, Match
from purpleflea_sandbox.exchange.core.orders import OrderStatus
from purpleflea_sandbox.exchange.storage import orders
from purpleflea_sandbox.exchange.venue import cashier, reports
from purpleflea_sandbox.exchange.venue.reports import Standing

router = APIRouter(
    tags=["admin"], dependencies=[Depends(admin)], responses=documented(401, 403, 422)
)


class AccountView(Answer):
    owner: str
    agent_id: str
    cash_usd: DecimalOutput
    equity_usd: DecimalOutput
    positions: list[PositionView]


class CashBody(Body):
    cash_usd: DecimalInput = Field(description="What the account holds afterwards.")


class CashView(Answer):
    owner: str
    agent_id: str
    cash_usd: DecimalOutput


class AccountsView(Answer):
    accounts: list[AccountView]


class AgentOrderView(OrderView):
    agent_id: str


class AgentOrdersView(Answer):
    count: int = Field(description="All that match, not only those listed.")
    orders: list[AgentOrderView] = Field(description="Newest first.")


class AgentSummary(Answer):
    owner: str
    agent_id: str
    orders: int
    filled: int
    open: int
    rejected: int
    cancelled: int
    realized_pnl_usd: DecimalOutput
    equity_usd: DecimalOutput


class Summary(Answer):
    orders: int
    agents: list[AgentSummary]


class MatchBody(Body):
    """What is left out matches everything. Health, admin and OpenAPI paths never meet a fault."""

    method: Annotated[str, Field(pattern="^(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)$")] | None = (
        None
    )
    path_prefix: Annotated[str, Field(pattern="^/", max_length=200)] | None = None
    agent_id: Annotated[str, Field(max_length=128)] | None = None


class FaultBody(Body):
    match: MatchBody = MatchBody()
    kind: FaultKind
    ms: Annotated[int, Field(ge=0, le=MAX_MS)] | None = Field(
        default=None, description="delay: how long; timeout_after_commit: silence before the reset."
    )
    status: Annotated[int, Field(ge=400, le=599)] | None = Field(
        default=None, description="status: what to answer; 503 when left out."
    )
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    times: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Strikes before it is spent; for ever when left out."
    )

    @model_validator(mode="after")
    def _delay_has_a_length(self) -> "FaultBody":
        if self.kind is FaultKind.DELAY and self.ms is None:
            raise ValueError("a delay needs ms")
        return self


class FaultView(FaultBody):
    hits: int = Field(description="How often it has struck.")


@router.get("/admin/accounts")
async def accounts(premises: Premises) -> AccountsView:
    found = reports.standings(premises.venue)
    return AccountsView(accounts=[_account_view(standing) for standing in found])


@router.put("/admin/accounts/{owner}/{agent_id}/cash", responses=documented(404))
async def set_cash(
    premises: Premises,
    owner: Annotated[str, Path(max_length=64)],
    agent_id: Annotated[str, Path(max_length=128)],
    body: CashBody,
) -> CashView:
    """Set the cash of an account: a loss (drawdown), an empty wallet, a rescue. It becomes an entry of the account."""
    found = cashier.adjust(premises.venue, owner, agent_id, body.cash_usd)
    return CashView(owner=found.owner, agent_id=found.agent_id, cash_usd=text(found.cash_usd))


@router.get("/admin/orders")
async def agent_orders(
    premises: Premises,
    agent_id: Annotated[str | None, Query(max_length=128)] = None,
    limit: Annotated[int, Query(ge=0, le=10_000)] = 100,
) -> AgentOrdersView:
    """Orders of one agent, or of all, over every owner."""
    database = premises.venue.database
    listed = [
        AgentOrderView(agent_id=agent, **views.order_view(order).model_dump())
        for agent, order in orders.newest_of_agent(database, agent_id, limit)
    ]
    return AgentOrdersView(count=orders.count_of_agent(database, agent_id), orders=listed)


@router.get("/admin/summary")
async def summary(premises: Premises) -> Summary:
    agents = [_agent_summary(standing) for standing in reports.standings(premises.venue)]
    return Summary(orders=sum(agent.orders for agent in agents), agents=agents)


@router.get("/faults")
async def faults(premises: Premises) -> list[FaultView]:
    return [_fault_view(item) for item in premises.switchboard.installed]


@router.put("/faults")
async def install_faults(
    premises: Premises, body: Annotated[list[FaultBody], Field(max_length=100)]
) -> list[FaultView]:
    """Replace every fault; they are tried in order."""
    premises.install_faults(tuple(_fault(item) for item in body))
    return [_fault_view(item) for item in premises.switchboard.installed]


@router.delete("/faults", status_code=204)
async def remove_faults(premises: Premises) -> None:
    premises.install_faults(())


def _account_view(standing: Standing) -> AccountView:
    held = views.positions_view(standing.holdings)
    return AccountView(
        owner=standing.account.owner,
        agent_id=standing.account.agent_id,
        cash_usd=text(standing.account.cash_usd),
        equity_usd=held.equity_usd,
        positions=held.positions,
    )


def _agent_summary(standing: Standing) -> AgentSummary:
    return AgentSummary(
        owner=standing.account.owner,
        agent_id=standing.account.agent_id,
        orders=standing.tally.orders,
        filled=standing.count(OrderStatus.FILLED),
        open=standing.count(OrderStatus.OPEN),
        rejected=standing.count(OrderStatus.REJECTED),
        cancelled=standing.count(OrderStatus.CANCELLED),
        realized_pnl_usd=text(standing.realized_pnl_usd),
        equity_usd=text(standing.holdings.equity_usd),
    )


def _fault(body: FaultBody) -> Fault:
    return Fault(
        match=Match(**body.match.model_dump()),
        kind=body.kind,
        ms=body.ms,
        status=body.status,
        probability=body.probability,
        times=body.times,
    )


def _fault_view(item: Installed) -> FaultView:
    fault = item.fault
    return FaultView(
        match=MatchBody(
            method=fault.match.method,
            path_prefix=fault.match.path_prefix,
            agent_id=fault.match.agent_id,
        ),
        kind=fault.kind,
        ms=fault.ms,
        status=fault.status,
        probability=fault.probability,
        times=fault.times,
        hits=item.hits,
    )
