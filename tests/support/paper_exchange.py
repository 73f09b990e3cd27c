"""The paper exchange of the sandbox, on loopback in a separate thread, with its faults and a record of sent orders.

Tests use it over HTTP, as agents do, except for the record of sent orders.
"""

import asyncio
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from purpleflea_sandbox.exchange.app_state import AppState
from purpleflea_sandbox.exchange.server import EmbeddedServer, configuration, listener
from purpleflea_sandbox.exchange.settings import ExchangeSettings
from purpleflea_sandbox.exchange.venue.context import Terms
from support.exchange_double import KEY
from support.waiting import wait_for

ADMIN_TOKEN = "let-me-in-please"
UNLIMITED = 10_000_000
RICH = Decimal(10) ** 10
MAX_LISTED = 10_000


class PaperExchange:
    """A running paper exchange with one rich account per agent. Use it as a context manager."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        """Number of requests for an order under each idempotency key, with any outcome."""
        self._socket = listener("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server: EmbeddedServer | None = None
        self._thread = threading.Thread(target=self._serve, name="paper-exchange", daemon=True)
        self._thread.start()
        wait_for(lambda: self._server and self._server.started, what="the exchange's start")
        self._admin = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}, timeout=30
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._admin.close()
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    @property
    def endpoints(self) -> dict[str, str]:
        """The endpoints of settings.json."""
        return dict.fromkeys(("trading", "wallet", "escrow", "faucet"), self.url)

    def inject_faults(self, faults: Sequence[dict[str, Any]]) -> None:
        """Replace all faults; the format is that of PUT /faults."""
        self._admin.put("/faults", json=list(faults)).raise_for_status()

    def remove_faults(self) -> int:
        """Remove all faults; return how often they were applied."""
        applied = sum(int(fault["hits"]) for fault in self._admin.get("/faults").json())
        self._admin.delete("/faults").raise_for_status()
        return applied

    def order_count(self) -> int:
        """Return the number of orders of all agents."""
        return int(self._admin.get("/admin/orders", params={"limit": 0}).json()["count"])

    def orders(self) -> list[dict[str, Any]]:
        """Return the orders of all agents."""
        answer = self._admin.get("/admin/orders", params={"limit": MAX_LISTED}).json()
        assert answer["count"] == len(answer["orders"])
        listed: list[dict[str, Any]] = answer["orders"]
        return listed

    def positions(self) -> dict[str, Decimal]:
        """Return the signed size of the position in each market, over all agents."""
        accounts = self._admin.get("/admin/accounts").json()["accounts"]
        sizes: dict[str, Decimal] = {}
        for position in (each for account in accounts for each in account["positions"]):
            market = position["market"]
            sizes[market] = sizes.get(market, Decimal(0)) + Decimal(position["size"])
        return sizes

    def _serve(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            keys = Path(folder, "keys")
            keys.write_text(f"{KEY} fleet\n")
            state = AppState.open(
                ExchangeSettings(
                    keys_file=keys,
                    admin_token=ADMIN_TOKEN,
                    rate_limit_per_minute=UNLIMITED,
                    terms=Terms(start_balance_usd=RICH),
                )
            )
            config = configuration(state)
            config.app = self._recorded(config.app)  # type: ignore[arg-type]
            self._server = EmbeddedServer(config)
            asyncio.run(self._server.serve([self._socket]))

    def _recorded(self, app: ASGIApp) -> ASGIApp:
        async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and (scope["method"], scope["path"]) == (
                "POST",
                "/v1/orders",
            ):
                self.sent[Headers(scope=scope).get("Idempotency-Key", "")] += 1
            await app(scope, receive, send)

        return recorded
