"""A minimal Purple Flea exchange in the Seed dialect, over real HTTP on loopback, with state that tests read.

Tests set the prices, and every market order fills at once. Faults are set as attributes. The full paper exchange is
part of the sandbox; this double lets tests of the agent cause exact failures.
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from support.waiting import wait_for

KEY = "pf_paper_0123456789abcdef0123456789abcdef"
RISING = tuple(str(60000 + 100 * step) for step in range(50))
START_CASH = Decimal(10000)


@dataclass(kw_only=True)
class Faults:
    """Faults, each for the given number of requests."""

    lose_answers_after_commit: int = 0
    lose_requests: int = 0
    status_before_commit: list[int] = field(default_factory=list)
    reject: int = 0
    answer_after_s: float = 0.0
    hide_orders: bool = False
    echo_key: bool = False
    escrow_status_before_commit: list[int] = field(default_factory=list)
    lose_escrow_answers: int = 0
    lose_escrow_requests: int = 0
    hide_escrows: bool = False
    faucet_retry_after_s: int = 0
    positions_fail: int = 0
    candles_fail: int = 0
    cancels_refused_with: int = 0


class ExchangeDouble:
    """A running exchange. Use it as a context manager."""

    def __init__(self) -> None:
        self.reset()
        config = uvicorn.Config(
            self._application(), host="127.0.0.1", port=0, log_config=None, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="exchange", daemon=True)
        self._thread.start()
        wait_for(lambda: self._server.started, what="the exchange double's start")

    def reset(self) -> None:
        """Reset all state for the next test."""
        self.key = KEY
        self.closes: tuple[str, ...] = RISING
        self.faults = Faults()
        self.orders: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.agent_ids: set[str | None] = set()
        self.escrows: dict[str, dict[str, Any]] = {}
        self.claims = 0
        self.balance_usd = START_CASH
        self.equity_usd = START_CASH
        self.when_ordered: Callable[[], None] = lambda: None
        """Called when an order arrives."""
        self.answers = threading.Event()
        """Cleared, it holds back the answers to requests that move money, after they took effect."""
        self.answers.set()
        self.gateway: Callable[[Request, Response], Response] = lambda _, response: response
        """A gateway in front of the exchange. It may replace an answer after the request took effect."""

    @property
    def is_closed(self) -> bool:
        """True if it stopped serving."""
        return not self._thread.is_alive()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Base URL of all four services."""
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    @property
    def endpoints(self) -> dict[str, str]:
        """The endpoints of settings.json."""
        return dict.fromkeys(("trading", "wallet", "escrow", "faucet"), self.url)

    def count(self, method: str, path: str) -> int:
        """Return the number of requests for a path."""
        return self.requests.count((method, path))

    def close(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join()

    def _application(self) -> Starlette:
        routes = [
            Route("/v1/markets/{market}/candles", self._candles),
            Route("/v1/orders", self._order, methods=["POST"]),
            Route("/v1/orders", self._find),
            Route("/v1/orders/{id}", self._cancel, methods=["DELETE"]),
            Route("/v1/positions", self._positions),
            Route("/v1/balance", self._balance),
            Route("/v1/escrow", self._escrow, methods=["POST"]),
            Route("/v1/escrow", self._find_escrow),
            Route("/v1/escrow/{id}", self._get_escrow),
            Route("/faucet/claim", self._claim, methods=["POST"]),
            Route("/v1/escrow/{id}/{verb}", self._move_escrow, methods=["POST"]),
        ]
        return Starlette(
            routes=[Route(r.path, self._checked(r.endpoint), methods=r.methods) for r in routes]
        )

    def _checked(self, endpoint: Any) -> Any:
        async def checked(request: Request) -> Response:
            self.requests.append((request.method, request.url.path))
            self.agent_ids.add(request.headers.get("X-Agent-Id"))
            given = request.headers.get("Authorization", "")
            if given != f"Bearer {self.key}":
                detail = f"bad key {given}" if self.faults.echo_key else "bad key"
                return _problem(401, detail)
            response: Response = await endpoint(request)
            while request.method == "POST" and not self.answers.is_set():  # noqa: ASYNC110 - set by another thread
                await asyncio.sleep(0.005)
            return self.gateway(request, response)

        return checked

    async def _candles(self, request: Request) -> Response:
        if self.faults.candles_fail:
            self.faults.candles_fail -= 1
            return _problem(500, "made to fail")
        limit = int(request.query_params["limit"])
        closes = self.closes[-limit:]
        now = datetime.now(UTC).isoformat()
        candles = [{"time": now, "close": close} for close in closes]
        return JSONResponse({"market": request.path_params["market"], "candles": candles})

    async def _order(self, request: Request) -> Response:
        key = request.headers["Idempotency-Key"]
        body = await request.json()
        if key in self.orders:
            return JSONResponse(self.orders[key], status_code=200)
        if self.faults.status_before_commit:
            return _problem(self.faults.status_before_commit.pop(0), "made to fail")
        if self.faults.lose_requests:
            self.faults.lose_requests -= 1
            return await self._silence(request)
        self.orders[key] = order = self.filled(key, body)
        self.when_ordered()
        if self.faults.lose_answers_after_commit:
            self.faults.lose_answers_after_commit -= 1
            return await self._silence(request)
        await asyncio.sleep(self.faults.answer_after_s)
        return JSONResponse(order, status_code=201)

    def filled(self, key: str, body: dict[str, str]) -> dict[str, Any]:
        """Return the state of an order after it arrived."""
        status = "open" if body["type"] == "limit" else "filled"
        if self.faults.reject:
            self.faults.reject -= 1
            status = "rejected"
        return {
            "order_id": f"ord_{len(self.orders) + 1}",
            "idempotency_key": key,
            **{name: body[name] for name in ("market", "side", "size", "type")},
            "status": status,
            "price": self.closes[-1] if status == "filled" else None,
            "filled_size": body["size"] if status == "filled" else "0",
            "fee_usd": "0.10",
            "realized_pnl_usd": "0",
            "created_at": "2026-01-01T00:00:00.000Z",
            "reject_reason": None if status == "filled" else "insufficient_funds",
        }

    async def _silence(self, request: Request) -> Response:
        """Send no answer, and wait until the client disconnects."""
        while not await request.is_disconnected() and not self._server.should_exit:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.02)
        return Response(status_code=500)

    async def _find(self, request: Request) -> Response:
        order = self.orders.get(request.query_params["idempotency_key"])
        matching = [order] if order is not None and not self.faults.hide_orders else []
        return JSONResponse({"orders": matching})

    async def _positions(self, request: Request) -> Response:
        if self.faults.positions_fail:
            self.faults.positions_fail -= 1
            return _problem(500, "made to fail")
        sizes: dict[str, Decimal] = {}
        for order in self.orders.values():
            signed = Decimal(order["filled_size"]) * (1 if order["side"] == "buy" else -1)
            sizes[order["market"]] = sizes.get(order["market"], Decimal(0)) + signed
        positions = [
            {
                "market": market,
                "size": str(size),
                "entry_price": self.closes[0],
                "mark_price": self.closes[-1],
                "notional_usd": str(abs(size) * Decimal(self.closes[-1])),
                "unrealized_pnl_usd": "12.50",
                "realized_pnl_usd": "-3.25",
            }
            for market, size in sizes.items()
            if size
        ]
        return JSONResponse({"positions": positions, "equity_usd": str(self.equity_usd)})

    async def _balance(self, request: Request) -> Response:
        amount = str(self.balance_usd)
        balances = {"USDC": {"amount": amount, "usd_value": amount}}
        return JSONResponse({"balances": balances, "equity_usd": str(self.equity_usd)})

    async def _cancel(self, request: Request) -> Response:
        if self.faults.cancels_refused_with:
            return _problem(self.faults.cancels_refused_with, "not now")
        wanted = request.path_params["id"]
        order = next((o for o in self.orders.values() if o["order_id"] == wanted), None)
        if order is None or order["status"] != "open":
            return _problem(409, "not open")
        order["status"] = "cancelled"
        return JSONResponse(order)

    async def _claim(self, request: Request) -> Response:
        if self.faults.faucet_retry_after_s:
            headers = {"Retry-After": str(self.faults.faucet_retry_after_s)}
            return _problem(429, "the faucet has paid already", headers=headers)
        self.claims += 1
        self._move_cash(Decimal(100))
        return JSONResponse({"claim_id": f"clm_{self.claims}", "credited_usd": "100"})

    async def _find_escrow(self, request: Request) -> Response:
        key = request.query_params["idempotency_key"]
        matching = [item for item in self.escrows.values() if item["idempotency_key"] == key]
        return JSONResponse({"escrows": [] if self.faults.hide_escrows else matching})

    async def _get_escrow(self, request: Request) -> Response:
        escrow = self.escrows.get(request.path_params["id"])
        return JSONResponse(escrow) if escrow else _problem(404, "no such escrow")

    async def _escrow(self, request: Request) -> Response:
        if self.faults.escrow_status_before_commit:
            return _problem(self.faults.escrow_status_before_commit.pop(0), "made to fail")
        if self.faults.lose_escrow_requests:
            self.faults.lose_escrow_requests -= 1
            return await self._silence(request)
        escrow = {
            "escrow_id": f"esc_{len(self.escrows) + 1}",
            "status": "created",
            "idempotency_key": request.headers["Idempotency-Key"],
            **await request.json(),
        }
        self.escrows[escrow["escrow_id"]] = escrow
        self._move_cash(-Decimal(escrow["amount_usd"]))
        if self.faults.lose_escrow_answers:
            self.faults.lose_escrow_answers -= 1
            return await self._silence(request)
        return JSONResponse(escrow, status_code=201)

    def _move_cash(self, amount_usd: Decimal) -> None:
        self.balance_usd += amount_usd
        self.equity_usd += amount_usd

    async def _move_escrow(self, request: Request) -> Response:
        escrow = self.escrows.get(request.path_params["id"])
        if escrow is None:
            return _problem(404, "no such escrow")
        if escrow["status"] != "created":
            return _problem(409, f"the escrow is {escrow['status']}")
        verb = request.path_params["verb"]
        escrow["status"] = {"release": "released", "cancel": "cancelled"}[verb]
        if verb == "cancel":
            self._move_cash(Decimal(escrow["amount_usd"]))
        if self.faults.lose_escrow_answers:
            self.faults.lose_escrow_answers -= 1
            return await self._silence(request)
        return JSONResponse(escrow)


def _problem(status: int, detail: str, *, headers: dict[str, str] | None = None) -> JSONResponse:
    code = f"code_{status}"
    body = {
        "type": f"urn:purpleflea:exchange:problem:{code}",
        "title": "error",
        "status": status,
        "detail": detail,
        "code": code,
    }
    return JSONResponse(
        body, status_code=status, headers=headers, media_type="application/problem+json"
    )
