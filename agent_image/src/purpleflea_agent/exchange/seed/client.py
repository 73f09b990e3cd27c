"""The HTTP client of the Seed dialect.

It converts answers to the types of the port and failures to exchange.errors, and counts every call; bounded_http sends
it. It repeats a request only once, after a 401, if the key file has a new key. Only a problem document of the exchange
itself proves that a request was refused; after any other answer the outcome is unknown. It decides nothing else.
"""

import asyncio
import string
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ValidationError

from purpleflea_agent.exchange import bounded_http
from purpleflea_agent.exchange.bounded_http import DEADLINE_S, TIMEOUT, Answer
from purpleflea_agent.exchange.errors import NeverSent, NoApiKey, OutcomeUnknown, Refused
from purpleflea_agent.exchange.key_file import KeyFile
from purpleflea_agent.exchange.port import (
    Balance,
    Candles,
    Claim,
    Escrow,
    EscrowRequest,
    Order,
    OrderRequest,
    Portfolio,
)
from purpleflea_agent.exchange.seed import wire
from purpleflea_contract.settings import Endpoints
from purpleflea_sdk.telemetry import metrics, redaction

MAX_DETAIL = 300

M = TypeVar("M", bound=BaseModel)
K = TypeVar("K", Order, wire.EscrowPayload)


class SeedExchange:
    """The Purple Flea services in the Seed dialect."""

    def __init__(
        self,
        endpoints: Endpoints,
        *,
        key_file: KeyFile,
        agent_id: str,
        timeout: httpx2.Timeout = TIMEOUT,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._endpoints = endpoints
        self._key_file = key_file
        self._deadline_s = deadline_s
        # A header has only ASCII, and the name of a host may have any characters.
        name = quote(agent_id, safe=string.punctuation)
        self._client = httpx2.AsyncClient(
            timeout=timeout, headers={**bounded_http.HEADERS, "X-Agent-Id": name}
        )

    async def candles(self, market: str, *, interval: str, limit: int) -> Candles:
        """Return the newest candles of a market."""
        answer = await self._call(
            "GET",
            f"{self._endpoints.trading}/v1/markets/{market}/candles",
            endpoint="/v1/markets/:market/candles",
            query={"interval": interval, "limit": str(limit)},
        )
        return _parsed(wire.Candles, answer).all()

    async def place_order(self, request: OrderRequest) -> Order:
        """Send an order."""
        body = {
            "market": request.market,
            "side": request.side,
            "size": f"{request.size:f}",
            "type": request.type,
        }
        if request.price is not None:
            body["price"] = f"{request.price:f}"
        answer = await self._answer(
            "POST",
            f"{self._endpoints.trading}/v1/orders",
            endpoint="/v1/orders",
            body=body,
            idempotency_key=request.idempotency_key,
        )
        order = _parsed(wire.OrderPayload, _content(answer)).order()
        _check_key(order.idempotency_key, request.idempotency_key)
        return replace(order, status_code=answer.status)

    async def find_order(self, idempotency_key: str) -> Order | None:
        """Return the order of a key, or None if the exchange has none."""
        answer = await self._call(
            "GET",
            f"{self._endpoints.trading}/v1/orders",
            endpoint="/v1/orders",
            query={"idempotency_key": idempotency_key},
        )
        rows = _parsed(wire.Orders, answer).orders
        return _with_key([None if row is None else row.order() for row in rows], idempotency_key)

    async def cancel_order(self, order_id: str) -> Order:
        """Cancel an open limit order."""
        url = f"{self._endpoints.trading}/v1/orders/{_segment(order_id)}"
        answer = await self._call("DELETE", url, endpoint="/v1/orders/:id")
        return _parsed(wire.OrderPayload, answer).order()

    async def portfolio(self) -> Portfolio:
        """Return positions and equity."""
        url = f"{self._endpoints.trading}/v1/positions"
        answer = await self._call("GET", url, endpoint="/v1/positions")
        return _parsed(wire.Positions, answer).portfolio()

    async def balances(self) -> tuple[Balance, ...]:
        """Return the balances of the wallet."""
        url = f"{self._endpoints.wallet}/v1/balance"
        answer = await self._call("GET", url, endpoint="/v1/balance")
        return _parsed(wire.Balances, answer).all()

    async def create_escrow(self, request: EscrowRequest) -> Escrow:
        """Open an escrow."""
        body = {
            "counterparty_id": request.counterparty_id,
            "amount_usd": f"{request.amount_usd:f}",
        }
        if request.description is not None:
            body["description"] = request.description
        answer = await self._answer(
            "POST",
            f"{self._endpoints.escrow}/v1/escrow",
            endpoint="/v1/escrow",
            body=body,
            idempotency_key=request.idempotency_key,
        )
        opened = _parsed(wire.EscrowPayload, _content(answer))
        if opened.idempotency_key is not None:
            _check_key(opened.idempotency_key, request.idempotency_key)
        return opened.escrow()

    async def find_escrow(self, idempotency_key: str) -> Escrow | None:
        """Return the escrow of a key, or None if the exchange has none."""
        answer = await self._call(
            "GET",
            f"{self._endpoints.escrow}/v1/escrow",
            endpoint="/v1/escrow",
            query={"idempotency_key": idempotency_key},
        )
        body = _with_key(_parsed(wire.Escrows, answer).escrows, idempotency_key)
        return None if body is None else body.escrow()

    async def escrow(self, escrow_id: str) -> Escrow:
        """Return the state of an escrow."""
        url = f"{self._endpoints.escrow}/v1/escrow/{_segment(escrow_id)}"
        answer = await self._call("GET", url, endpoint="/v1/escrow/:id")
        return _with_id(_parsed(wire.EscrowPayload, answer).escrow(), escrow_id)

    async def release_escrow(self, escrow_id: str) -> Escrow:
        """Pay an escrow out to the counterparty."""
        return await self._change_escrow(escrow_id, "release")

    async def cancel_escrow(self, escrow_id: str) -> Escrow:
        """Cancel an escrow; its amount returns to the wallet."""
        return await self._change_escrow(escrow_id, "cancel")

    async def claim_faucet(self) -> Claim:
        """Claim from the faucet."""
        url = f"{self._endpoints.faucet}/faucet/claim"
        answer = await self._call("POST", url, endpoint="/faucet/claim")
        return _parsed(wire.ClaimPayload, answer).claim()

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def _change_escrow(self, escrow_id: str, action: str) -> Escrow:
        url = f"{self._endpoints.escrow}/v1/escrow/{_segment(escrow_id)}/{action}"
        answer = await self._call("POST", url, endpoint=f"/v1/escrow/:id/{action}")
        return _with_id(_parsed(wire.EscrowPayload, answer).escrow(), escrow_id)

    async def _call(
        self, method: str, url: str, *, endpoint: str, query: dict[str, str] | None = None
    ) -> bytes:
        return _content(await self._answer(method, url, endpoint=endpoint, query=query))

    async def _answer(  # noqa: PLR0913 - the parts of a request, most of them by name
        self,
        method: str,
        url: str,
        *,
        endpoint: str,
        query: dict[str, str] | None = None,
        body: dict[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Answer:
        key = self._key_file.key()
        if key is None:
            raise NoApiKey(f"no API key: {self._key_file.path} is missing or empty")
        if not key.isprintable():
            raise NoApiKey(
                f"no API key: {self._key_file.path} has more than one line, or control characters"
            )
        deadline = asyncio.get_running_loop().time() + self._deadline_s
        try:
            request = self._client.build_request(method, url, params=query, json=body)
        except (httpx2.InvalidURL, UnicodeError) as error:
            text = redaction.redact(str(error)[:MAX_DETAIL])
            raise NeverSent(f"{endpoint}: the URL cannot be used: {text}") from error
        if idempotency_key is not None:
            request.headers["Idempotency-Key"] = idempotency_key
        answer = await self._send(request, key, endpoint, deadline)
        if answer.status == 401:
            self._key_file.forget()
            new_key = self._key_file.key()
            # A request that the exchange itself did not refuse may have taken effect, so it is not sent again.
            is_safe = method == "GET" or _venue_problem(answer) is not None
            if is_safe and new_key is not None and new_key != key:
                answer = await self._send(request, new_key, endpoint, deadline)
        return answer

    async def _send(
        self, request: httpx2.Request, key: str, endpoint: str, deadline: float
    ) -> Answer:
        request.headers["Authorization"] = f"Bearer {key}"
        code = 0
        try:
            answer = await bounded_http.answer(self._client, request, deadline=deadline)
            code = answer.status
        finally:
            metrics.record_api_call(endpoint, request.method, code)
        return answer


def _content(answer: Answer) -> bytes:
    if answer.is_success:
        return answer.content
    status = answer.status
    problem = _venue_problem(answer)
    text = answer.reason if problem is None else problem.detail or problem.title
    detail = redaction.redact(f"{status}: {text[:MAX_DETAIL]}")
    if problem is None or not answer.is_client_error:
        status_text = _status_text(status)
        raise OutcomeUnknown(detail, error_type="upstream", status=status, in_public=status_text)
    is_about_our_key = status in (401, 403)
    raise Refused(
        detail,
        status=status,
        retry_after_s=_retry_after(answer),
        in_public=_status_text(status) if is_about_our_key else None,
    )


def _segment(name: str) -> str:
    """Return an id of the exchange as one segment of a path, so that it never addresses another path."""
    if name.strip(".") == "":
        raise NeverSent(f"the exchange reported the id {name!r}, which is not usable")
    try:
        return quote(name, safe="")
    except UnicodeError as error:
        raise NeverSent("the exchange reported an id that is not usable") from error


def _status_text(status: int) -> str:
    # Not the reason phrase of the answer, because that is text of the service too.
    return f"{status}: {httpx2.codes.get_reason_phrase(status) or 'unknown status'}"


def _venue_problem(answer: Answer) -> wire.ProblemPayload | None:
    content_type = answer.headers.get("Content-Type", "")
    return wire.venue_problem(answer.status, content_type, answer.content)


def _check_key(answered: str, sent: str) -> None:
    if answered != sent:
        raise OutcomeUnknown("the answer is about another request", error_type="upstream")


def _with_id(escrow: Escrow, escrow_id: str) -> Escrow:
    if escrow.escrow_id != escrow_id:
        raise OutcomeUnknown("the answer is about another escrow", error_type="upstream")
    return escrow


def _with_key(items: Sequence[K | None], idempotency_key: str) -> K | None:
    """Return the item of a key, or None if the exchange has none.

    A list of other items proves nothing, because its sender did not search for the key. A row that cannot be read
    (None) proves nothing either, because it may be the item.
    """
    match = next((item for item in items if item and item.idempotency_key == idempotency_key), None)
    if match is None and items:
        raise OutcomeUnknown("the answer is about other requests", error_type="upstream")
    return match


def _retry_after(answer: Answer) -> float | None:
    try:
        return float(answer.headers["Retry-After"])
    except (KeyError, ValueError):
        return None


def _parsed(model: type[M], content: bytes) -> M:
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise OutcomeUnknown(
            f"the answer is not a valid {model.__name__}: {error.error_count()} problems",
            error_type="upstream",
        ) from error
