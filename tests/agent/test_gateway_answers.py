"""Answers that the exchange itself did not send: with any status, the outcome of the request is unknown.

A gateway, a proxy or a firewall may answer after the exchange has accepted the request.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from purpleflea_agent.exchange.errors import ExchangeError, OutcomeUnknown, Refused
from purpleflea_agent.exchange.key_file import KeyFile
from purpleflea_agent.exchange.port import EscrowRequest, OrderRequest
from purpleflea_agent.exchange.seed import SeedExchange
from purpleflea_agent.trading.errors import EscrowUnsettled, OrderUnsettled
from purpleflea_agent.trading.faucet import PAUSE_AFTER_FAILURE_S
from purpleflea_agent.trading.missing_orders import ABANDON_AFTER_LOOKUPS, ABANDON_AFTER_S
from purpleflea_contract.settings import Endpoints
from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_parts import Clock, Parts, running_parts
from support.agent_process import AgentFolder
from support.exchange_double import ExchangeDouble
from support.receivers.dogstatsd import DogStatsdSink

PROBLEM_JSON = "application/problem+json"
CLIENT_ERRORS = (400, 401, 402, 403, 404, 405, 408, 409, 410, 413, 422, 429, 451, 499)
REDIRECTS = (301, 302, 307)
SERVER_ERRORS = (500, 502, 503, 520)
SUCCESSES = (200, 201, 204)

ORDER = OrderRequest(idempotency_key="k1", market="BTC-USD", side="buy", size=Decimal("0.01"))
LIMIT_ORDER = OrderRequest(
    idempotency_key="k2",
    market="ETH-USD",
    side="buy",
    size=Decimal("0.01"),
    type="limit",
    price=Decimal(1),
)
ESCROW = EscrowRequest(idempotency_key="e1", counterparty_id="agent_b", amount_usd=Decimal(25))

ROUTES: dict[str, Callable[[SeedExchange], Awaitable[Any]]] = {
    "place order": lambda exchange: exchange.place_order(ORDER),
    "place limit order": lambda exchange: exchange.place_order(LIMIT_ORDER),
    "find order": lambda exchange: exchange.find_order("k1"),
    "cancel order": lambda exchange: exchange.cancel_order("ord_1"),
    "create escrow": lambda exchange: exchange.create_escrow(ESCROW),
    "find escrow": lambda exchange: exchange.find_escrow("e1"),
    "get escrow": lambda exchange: exchange.escrow("esc_1"),
    "release escrow": lambda exchange: exchange.release_escrow("esc_1"),
    "cancel escrow": lambda exchange: exchange.cancel_escrow("esc_1"),
    "claim faucet": lambda exchange: exchange.claim_faucet(),
    "portfolio": lambda exchange: exchange.portfolio(),
    "balances": lambda exchange: exchange.balances(),
    "candles": lambda exchange: exchange.candles("BTC-USD", interval="15s", limit=50),
}


def problem(http_status: int, **changes: Any) -> bytes:
    """A problem document in the form of the exchange, except for the changes."""
    body = {
        "type": "urn:purpleflea:exchange:problem:refused",
        "title": "Refused",
        "status": http_status,
        "detail": "the exchange refuses",
        "code": "refused",
    }
    return json.dumps({k: v for k, v in (body | changes).items() if v is not None}).encode()


Form = Callable[[int], tuple[str, bytes]]
FORMS: dict[str, Form] = {
    "html": lambda _: ("text/html", b"<html><title>Not here</title></html>"),
    "empty": lambda _: ("text/plain", b""),
    "empty problem": lambda _: (PROBLEM_JSON, b""),
    "no content type": lambda _: ("", b""),
    "text": lambda _: ("text/plain", b"Too Many Requests"),
    "other json": lambda _: ("application/json", b'{"error": "not_found", "message": "no route"}'),
    "json null": lambda _: (PROBLEM_JSON, b"null"),
    "json list": lambda _: (PROBLEM_JSON, b"[]"),
    "problem as json": lambda status: ("application/json", problem(status)),
    "problem as html": lambda status: ("text/html", problem(status)),
    "problem of a gateway": lambda status: (
        PROBLEM_JSON,
        problem(status, type="about:blank", code=None),
    ),
    "problem of a gateway with a code": lambda status: (
        PROBLEM_JSON,
        problem(status, type="https://gateway.example/problems/refused"),
    ),
    "problem without type": lambda status: (PROBLEM_JSON, problem(status, type=None)),
    "problem without code": lambda status: (PROBLEM_JSON, problem(status, code=None)),
    "problem without status": lambda status: (PROBLEM_JSON, problem(status, status=None)),
    "problem of another status": lambda status: (PROBLEM_JSON, problem(status + 1)),
    "problem of another code": lambda status: (PROBLEM_JSON, problem(status, code="other")),
    "problem cut off": lambda status: (PROBLEM_JSON, problem(status)[:-9]),
    "problem with more behind it": lambda status: (PROBLEM_JSON, problem(status) + b"<!-- -->"),
    "not utf-8": lambda status: (PROBLEM_JSON, problem(status).replace(b"refuses", b"\xff\xfe")),
    "nested too deep": lambda _: (PROBLEM_JSON, b'{"type":' * 5000),
}


def answering(status: int, form: Form) -> Callable[[Request, Response], Response]:
    """A gateway that replaces every answer."""
    content_type, body = form(status)
    headers = {"Content-Type": content_type} if content_type else {}
    if status in REDIRECTS:
        headers["Location"] = "/v1/orders"
    if status in (204, 304):
        body = b""
    return lambda _, __: Response(body, status_code=status, headers=headers)


@pytest.fixture
async def adapter(exchange: ExchangeDouble, folder: AgentFolder) -> AsyncIterator[SeedExchange]:
    adapter = SeedExchange(
        Endpoints(**exchange.endpoints), key_file=KeyFile(folder.key_file), agent_id="momentum-0"
    )
    yield adapter
    await adapter.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def parts(
    exchange: ExchangeDouble,
    folder: AgentFolder,
    emitter: Emitter,
    sink: DogStatsdSink,
    clock: Clock,
) -> AsyncIterator[Parts]:
    async with running_parts(
        folder, emitter, sink, endpoints=exchange.endpoints, clock=clock
    ) as running:
        yield running


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("form", FORMS)
async def test_an_answer_of_a_gateway_never_counts_as_a_refusal(
    adapter: SeedExchange, exchange: ExchangeDouble, route: str, form: str
) -> None:
    for status in (*REDIRECTS, *CLIENT_ERRORS, *SERVER_ERRORS, *SUCCESSES):
        exchange.gateway = answering(status, FORMS[form])
        with pytest.raises(ExchangeError) as raised:
            await ROUTES[route](adapter)
        assert type(raised.value) is OutcomeUnknown, (status, raised.value)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("content_type", [PROBLEM_JSON, "Application/Problem+JSON; charset=utf-8"])
async def test_a_problem_document_of_the_exchange_with_a_4xx_status_is_a_refusal(
    adapter: SeedExchange, exchange: ExchangeDouble, route: str, content_type: str
) -> None:
    for status in CLIENT_ERRORS:
        exchange.gateway = answering(status, lambda status: (content_type, problem(status)))
        with pytest.raises(Refused, match=f"{status}: the exchange refuses") as raised:
            await ROUTES[route](adapter)
        assert raised.value.status == status


@pytest.mark.parametrize("route", ROUTES)
async def test_a_server_error_of_the_exchange_leaves_the_outcome_unknown(
    adapter: SeedExchange, exchange: ExchangeDouble, route: str
) -> None:
    for status in SERVER_ERRORS:
        exchange.gateway = answering(status, lambda status: (PROBLEM_JSON, problem(status)))
        with pytest.raises(OutcomeUnknown):
            await ROUTES[route](adapter)


@pytest.mark.parametrize("route", ["place order", "find order", "create escrow", "find escrow"])
async def test_an_answer_about_another_key_leaves_the_outcome_unknown(
    adapter: SeedExchange, exchange: ExchangeDouble, route: str
) -> None:
    def other(_: Request, response: Response) -> Response:
        body = bytes(response.body).replace(b'"k1"', b'"k9"').replace(b'"e1"', b'"e9"')
        return Response(body, status_code=response.status_code)

    await adapter.place_order(ORDER)
    await adapter.create_escrow(ESCROW)
    exchange.gateway = other
    with pytest.raises(OutcomeUnknown):
        await ROUTES[route](adapter)


@pytest.mark.parametrize("route", ["release escrow", "claim faucet", "place order"])
async def test_a_401_of_a_gateway_does_not_send_the_request_again_with_a_new_key(
    adapter: SeedExchange, exchange: ExchangeDouble, folder: AgentFolder, route: str
) -> None:
    await adapter.create_escrow(ESCROW)
    before = len(exchange.requests)

    def rotating(_: Request, __: Response) -> Response:
        folder.key_file.write_text("pf_paper_abcdefabcdefabcdefabcdefabcdefab")
        return Response("who are you?", status_code=401)

    exchange.gateway = rotating
    with pytest.raises(OutcomeUnknown):
        await ROUTES[route](adapter)
    assert len(exchange.requests) == before + 1


ANSWERS = pytest.mark.parametrize(
    ("status", "form"),
    [
        (302, "empty"),
        (400, "html"),
        (401, "other json"),
        (403, "html"),
        (404, "empty"),
        (404, "problem of a gateway"),
        (409, "problem cut off"),
        (413, "html"),
        (429, "text"),
    ],
)


@ANSWERS
async def test_an_order_behind_a_failing_gateway_is_filled_once_and_settled_later(
    parts: Parts, exchange: ExchangeDouble, clock: Clock, status: int, form: str
) -> None:
    await parts.account.refresh()
    exchange.gateway = only("/v1/orders", answering(status, FORMS[form]))
    with pytest.raises(OrderUnsettled):
        await parts.buy("k1")
    clock.now += ABANDON_AFTER_S + 1
    for _ in range(ABANDON_AFTER_LOOKUPS + 1):
        with pytest.raises(OutcomeUnknown):
            await parts.orders.settle_unfinished()
    assert await parts.journal.counts() == {"written": 1}
    exchange.gateway = lambda _, response: response
    await parts.orders.settle_unfinished()
    assert await parts.journal.counts() == {"filled": 1}
    assert (list(exchange.orders), exchange.count("POST", "/v1/orders")) == (["k1"], 1)


@ANSWERS
async def test_an_escrow_behind_a_failing_gateway_is_paid_once(
    parts: Parts, exchange: ExchangeDouble, clock: Clock, status: int, form: str
) -> None:
    exchange.gateway = answering(status, FORMS[form])
    for _ in range(2):
        with pytest.raises(EscrowUnsettled):
            await parts.escrows.create(ESCROW)
    clock.now += ABANDON_AFTER_S + 1
    for _ in range(ABANDON_AFTER_LOOKUPS + 1):
        with pytest.raises(OutcomeUnknown):
            await parts.escrows.settle_unfinished()
    assert await parts.journal.escrow_counts() == {"written": 1}
    exchange.gateway = lambda _, response: response
    await parts.escrows.settle_unfinished()
    assert await parts.journal.escrow_counts() == {"created": 1}
    exchange.gateway = only("/v1/escrow/esc_1/release", answering(status, FORMS[form]))
    released = await parts.escrows.release("esc_1")
    assert (released.status, len(exchange.escrows)) == ("released", 1)
    assert await parts.journal.escrow_counts() == {"released": 1}


@ANSWERS
async def test_a_faucet_behind_a_failing_gateway_is_claimed_at_most_once_a_minute(
    parts: Parts, exchange: ExchangeDouble, clock: Clock, status: int, form: str
) -> None:
    """The faucet pays once per window, so a repeated claim is safe; an agent without money cannot trade."""
    exchange.gateway = answering(status, FORMS[form])
    for number in range(1, 4):
        for _ in range(2):
            parts.faucet.consider(Decimal(1))
            await parts.faucet.finish()
        assert exchange.claims == number
        clock.now += PAUSE_AFTER_FAILURE_S


async def test_a_gateway_that_blocks_one_order_does_not_keep_another_from_being_canceled(
    parts: Parts, exchange: ExchangeDouble
) -> None:
    await parts.account.refresh()
    await parts.buy("k1", limit=Decimal(1))
    await parts.buy("k2", limit=Decimal(1))
    parts.control.end()
    exchange.gateway = only("/v1/orders/ord_1", answering(403, FORMS["html"]))
    with pytest.raises(OutcomeUnknown):
        await parts.orders.cancel_resting()
    assert exchange.orders["k2"]["status"] == "cancelled"


def only(
    path: str, gateway: Callable[[Request, Response], Response]
) -> Callable[[Request, Response], Response]:
    """A gateway in front of one path; other answers pass."""
    return lambda request, response: (
        gateway(request, response) if request.url.path == path else response
    )
