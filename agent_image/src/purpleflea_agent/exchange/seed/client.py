"""The HTTP client of the Seed dialect.

It converts answers to the types of the port and failures to exchange.errors, and counts every call. It repeats a
request only once, after a 401, if the key file has a new key. Only a problem document of the exchange itself proves
that a request was refused; after any other answer the outcome is unknown. It decides nothing else.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from purpleflea_agent.exchange.errors import NeverSent, OutcomeUnknown, Refused
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

TIMEOUT = httpx.Timeout(6.0, connect=3.0)
CONNECTION_ERRORS = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)
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
        timeout: httpx.Timeout = TIMEOUT,
    ) -> None:
        self._endpoints = endpoints
        self._key_file = key_file
        self._client = httpx.AsyncClient(timeout=timeout, headers={"X-Agent-Id": agent_id})

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
        return replace(order, status_code=answer.status_code)

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
        url = f"{self._endpoints.trading}/v1/orders/{order_id}"
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
        url = f"{self._endpoints.escrow}/v1/escrow/{escrow_id}"
        answer = await self._call("GET", url, endpoint="/v1/escrow/:id")
        return _parsed(wire.EscrowPayload, answer).escrow()

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
        url = f"{self._endpoints.escrow}/v1/escrow/{escrow_id}/{action}"
        answer = await self._call("POST", url, endpoint=f"/v1/escrow/:id/{action}")
        return _parsed(wire.EscrowPayload, answer).escrow()

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
    ) -> httpx.Response:
        key = self._key_file.key()
        if key is None:
            raise NeverSent(f"no API key: {self._key_file.path} is missing or empty")
        request = self._client.build_request(method, url, params=query, json=body)
        if idempotency_key is not None:
            request.headers["Idempotency-Key"] = idempotency_key
        response = await self._send(request, key, endpoint)
        if response.status_code == 401:
            self._key_file.forget()
            new_key = self._key_file.key()
            # A request that the exchange itself did not refuse may have taken effect, so it is not sent again.
            is_safe = method == "GET" or _venue_problem(response) is not None
            if is_safe and new_key is not None and new_key != key:
                response = await self._send(request, new_key, endpoint)
        return response

    async def _send(self, request: httpx.Request, key: str, endpoint: str) -> httpx.Response:
        request.headers["Authorization"] = f"Bearer {key}"
        code = 0
        try:
            response = await self._client.send(request)
            code = response.status_code
        except CONNECTION_ERRORS as error:
            raise NeverSent(f"{request.url.host} cannot be reached: {_text(error)}") from error
        except httpx.TimeoutException as error:
            raise OutcomeUnknown(f"{endpoint}: no answer in time", error_type="timeout") from error
        except httpx.HTTPError as error:
            raise OutcomeUnknown(
                f"{endpoint}: connection lost: {_text(error)}", error_type="connection"
            ) from error
        finally:
            metrics.record_api_call(endpoint, request.method, code)
        return response


def _content(response: httpx.Response) -> bytes:
    if response.is_success:
        return response.content
    status = response.status_code
    problem = _venue_problem(response)
    text = response.reason_phrase if problem is None else problem.detail or problem.title
    detail = redaction.redact(f"{status}: {text[:MAX_DETAIL]}")
    if problem is None or not response.is_client_error:
        status_text = _status_text(status)
        raise OutcomeUnknown(detail, error_type="upstream", status=status, in_public=status_text)
    is_about_our_key = status in (401, 403)
    raise Refused(
        detail,
        status=status,
        retry_after_s=_retry_after(response),
        in_public=_status_text(status) if is_about_our_key else None,
    )


def _status_text(status: int) -> str:
    # Not the reason phrase of the answer, because that is text of the service too.
    return f"{status}: {httpx.codes.get_reason_phrase(status) or 'unknown status'}"


def _venue_problem(response: httpx.Response) -> wire.ProblemPayload | None:
    content_type = response.headers.get("Content-Type", "")
    return wire.venue_problem(response.status_code, content_type, response.content)


def _check_key(answered: str, sent: str) -> None:
    if answered != sent:
        raise OutcomeUnknown("the answer is about another request", error_type="upstream")


def _with_key(items: Sequence[K | None], idempotency_key: str) -> K | None:
    """Return the item of a key, or None if the exchange has none.

    A list of other items proves nothing, because its sender did not search for the key. A row that cannot be read
    (None) proves nothing either, because it may be the item.
    """
    match = next((item for item in items if item and item.idempotency_key == idempotency_key), None)
    if match is None and items:
        raise OutcomeUnknown("the answer is about other requests", error_type="upstream")
    return match


def _retry_after(response: httpx.Response) -> float | None:
    try:
        return float(response.headers["Retry-After"])
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


def _text(error: httpx.HTTPError) -> str:
    return redaction.redact(str(error) or type(error).__name__)
