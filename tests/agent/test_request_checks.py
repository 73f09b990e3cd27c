"""Orders and escrows of user code with a field of a wrong form: an error that names the field, and nothing is sent."""

import re
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from purpleflea_agent.exchange.key_file import KeyFile
from purpleflea_agent.exchange.port import EscrowRequest, OrderRequest
from purpleflea_agent.exchange.seed import SeedExchange
from purpleflea_contract.settings import Endpoints
from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_parts import PRICE, Parts, running_parts
from support.agent_process import AgentFolder
from support.exchange_double import ExchangeDouble
from support.receivers.dogstatsd import DogStatsdSink


@pytest.fixture
async def parts(
    exchange: ExchangeDouble, folder: AgentFolder, emitter: Emitter, sink: DogStatsdSink
) -> AsyncIterator[Parts]:
    async with running_parts(folder, emitter, sink, endpoints=exchange.endpoints) as running:
        yield running


KEYS: list[object] = [
    "",
    " ",
    "a b",
    " a",
    "a\n",
    "a\r\nX: y",
    "ключ",
    "\u00e9",
    "x" * 256,
    None,
    7,
]
ORDERS: list[tuple[str, object]] = [
    *(("idempotency_key", key) for key in KEYS),
    *(
        ("market", market)
        for market in ("btc-usd", "BTC-USD ", "BTC/USD", "\u0392TC-USD", "", None)
    ),
    *(("side", side) for side in ("BUY", "Sell", "long", "", None, 1, ["buy"])),
    *(("size", size) for size in (0.01, 1, "0.01", None)),
    *(("type", kind) for kind in ("LIMIT", "stop", None)),
    ("price", Decimal(1)),
]
ESCROWS: list[tuple[str, object]] = [
    *(("idempotency_key", key) for key in KEYS),
    *(("counterparty_id", name) for name in ("", None, 7)),
    *(
        ("amount_usd", amount)
        for amount in (
            25.0,
            25,
            "25",
            None,
            Decimal(0),
            Decimal(-1),
            Decimal("NaN"),
            Decimal("-Inf"),
        )
    ),
]


@pytest.mark.parametrize(("field", "value"), ORDERS, ids=repr)
async def test_an_order_with_a_wrong_field_is_an_error_and_is_not_sent(
    parts: Parts, exchange: ExchangeDouble, field: str, value: object
) -> None:
    fields: dict[str, Any] = {
        "idempotency_key": "k1",
        "market": "BTC-USD",
        "side": "buy",
        "size": Decimal("0.01"),
        field: value,
    }
    with pytest.raises(ValueError, match=f"^{re.escape(field)}: "):
        await parts.orders.place(OrderRequest(**fields), reference_price=PRICE)
    assert exchange.orders == {}
    assert await parts.journal.unfinished() == []


@pytest.mark.parametrize("price", [64900.0, "64900", None], ids=repr)
async def test_prices_are_decimals(parts: Parts, exchange: ExchangeDouble, price: Any) -> None:
    order = OrderRequest(idempotency_key="k1", market="BTC-USD", side="buy", size=Decimal(1))
    limit = OrderRequest(
        idempotency_key="k1",
        market="BTC-USD",
        side="buy",
        size=Decimal(1),
        type="limit",
        price=price,
    )
    with pytest.raises(ValueError, match=r"^reference_price: "):
        await parts.orders.place(order, reference_price=price)
    with pytest.raises(ValueError, match=r"^price: "):
        await parts.orders.place(limit, reference_price=PRICE)
    assert exchange.orders == {}


@pytest.mark.parametrize(("field", "value"), ESCROWS, ids=repr)
async def test_an_escrow_with_a_wrong_field_is_an_error_and_is_not_sent(
    parts: Parts, exchange: ExchangeDouble, field: str, value: object
) -> None:
    fields: dict[str, Any] = {
        "idempotency_key": "k1",
        "counterparty_id": "agent_7",
        "amount_usd": Decimal(25),
        field: value,
    }
    with pytest.raises(ValueError, match=f"^{re.escape(field)}: "):
        await parts.escrows.create(EscrowRequest(**fields))
    assert exchange.escrows == {}
    assert await parts.journal.unfinished_escrows() == []


@pytest.mark.parametrize("key", ["a", "x" * 255, "8f14e45f-ceea.4:1_2", "a/b?c=d&e%20"])
async def test_a_key_reaches_the_exchange_as_it_is(
    parts: Parts, exchange: ExchangeDouble, key: str
) -> None:
    await parts.buy(key)
    assert list(exchange.orders) == [key]


@pytest.mark.parametrize(
    ("agent_id", "header"),
    [("momentum-0", "momentum-0"), ("büro", "b%C3%BCro"), ("a b", "a%20b"), ("a\nb", "a%0Ab")],
)
async def test_the_name_of_any_host_can_be_sent(
    exchange: ExchangeDouble, folder: AgentFolder, agent_id: str, header: str
) -> None:
    received: list[str] = []

    def gateway(request: Request, response: Response) -> Response:
        received.append(request.headers["X-Agent-Id"])
        return response

    exchange.gateway = gateway
    client = SeedExchange(
        Endpoints(**exchange.endpoints), key_file=KeyFile(folder.key_file), agent_id=agent_id
    )
    await client.portfolio()
    await client.close()
    assert received == [header]
