"""Fixtures of an exchange with a manual clock, in memory or served on loopback."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from purpleflea_sandbox.exchange.app_state import AppState
from purpleflea_sandbox.exchange.core.markets import MARKETS
from purpleflea_sandbox.exchange.core.orders import NewOrder, Order, OrderType, Side
from purpleflea_sandbox.exchange.server import running
from purpleflea_sandbox.exchange.settings import ExchangeSettings
from purpleflea_sandbox.exchange.storage.accounts import Account
from purpleflea_sandbox.exchange.venue import funding, trading
from purpleflea_sandbox.exchange.venue.context import Terms

KEY = "pf_paper_" + "1" * 32
OTHER_KEY = "pf_paper_" + "2" * 32
ADMIN_TOKEN = "let-me-in"


@dataclass
class ManualClock:
    """Clock that advances only if the test advances it."""

    now_ms: int = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)


@dataclass
class ExchangeFixture:
    """Application state with one account, used without HTTP."""

    state: AppState
    clock: ManualClock
    account: Account
    _placed: int = 0

    def order(self, side: str, size: str, market: str = "BTC-USD", **more: Any) -> Order:
        """Place an order with a new idempotency key, or with the given `key`."""
        self._placed += 1
        price = more.get("price")
        request = NewOrder(
            idempotency_key=more.get("key", f"order-{self._placed}"),
            market=MARKETS[market],
            side=Side(side),
            size=Decimal(size),
            type=OrderType.MARKET if price is None else OrderType.LIMIT,
            price=None if price is None else Decimal(price),
        )
        account_id = more.get("account_id", self.account.account_id)
        return trading.place(self.state.venue, account_id, request)[0]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"# the fleet\n{KEY} fleet\n\n{OTHER_KEY}\n")
    return path


@pytest.fixture
def open_exchange(keys_file: Path, clock: ManualClock) -> Iterator[Callable[..., AppState]]:
    with ExitStack() as stack:

        def opened(**settings: Any) -> AppState:
            terms = settings.pop("terms", Terms())
            state = AppState.open(
                ExchangeSettings(
                    keys_file=keys_file, admin_token=ADMIN_TOKEN, terms=terms, **settings
                ),
                clock,
            )
            stack.callback(state.close)
            return state

        yield opened


@pytest.fixture
def exchange(open_exchange: Callable[..., AppState], clock: ManualClock) -> ExchangeFixture:
    state = open_exchange()
    return ExchangeFixture(
        state=state, clock=clock, account=funding.account(state.venue, "fleet", "momentum-0")
    )


@pytest.fixture
def served_states() -> list[AppState]:
    """The states of the exchanges that a test serves, for steps that have no route."""
    return []


@pytest.fixture
async def serve(
    open_exchange: Callable[..., AppState], served_states: list[AppState]
) -> AsyncIterator[Callable[..., Any]]:
    """Serve an exchange; return a client with the identity of agent momentum-0."""
    async with AsyncExitStack() as stack:

        async def served(**settings: Any) -> httpx.AsyncClient:
            served_states.append(open_exchange(**settings))
            url = await stack.enter_async_context(running(served_states[-1]))
            headers = {"Authorization": f"Bearer {KEY}", "X-Agent-Id": "momentum-0"}
            return await stack.enter_async_context(
                httpx.AsyncClient(base_url=url, headers=headers, timeout=10)
            )

        yield served


@pytest.fixture
async def client(serve: Callable[..., Any]) -> httpx.AsyncClient:
    return await serve()


@pytest.fixture
def admin() -> dict[str, str]:
    return {"Authorization": f"Bearer {ADMIN_TOKEN}"}


@pytest.fixture
def buy() -> dict[str, str]:
    return {"market": "BTC-USD", "side": "buy", "size": "0.01", "type": "market"}
