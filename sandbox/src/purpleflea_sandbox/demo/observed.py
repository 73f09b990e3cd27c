"""What the outside world saw of the fleet: orders at the exchange, telemetry at Datadog's stand-in."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from purpleflea_sandbox.demo.errors import DemoError

INTERVAL_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What is known of one agent from outside; None where nothing was seen yet."""

    agent_id: str
    orders: int = 0
    pnl_usd: float | None = None
    trace_id: str | None = None
    log_line: str | None = None

    @property
    def is_heard(self) -> bool:
        """Whether the agent has traded, and a metric, a trace and a log line of it arrived."""
        return self.orders > 0 and None not in (self.pnl_usd, self.trace_id, self.log_line)

    @property
    def missing(self) -> str:
        """What has not been seen, in words."""
        seen = {
            "an order": self.orders > 0,
            "a P&L metric": self.pnl_usd is not None,
            "a trace": self.trace_id is not None,
            "a log line": self.log_line is not None,
        }
        return ", ".join(what for what, there in seen.items() if not there)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Where to ask."""

    exchange: str
    exchange_token: str
    intake: str

    def identities(self, names: Sequence[str]) -> list[Identity]:
        """What is known of each agent now."""
        orders = {
            item["agent_id"]: item
            for item in self._read(f"{self.exchange}/admin/summary", self.exchange_token)["agents"]
        }
        heard = self._read(f"{self.intake}/received/summary")["agents"]
        return [_identity(name, orders.get(name, {}), heard.get(name, {})) for name in names]

    def wait_until_heard(self, names: Sequence[str], *, timeout_s: float) -> list[Identity]:
        """Wait until every agent has traded and was heard.

        Raises:
            DemoError: Not in time; the text says of whom what is missing.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            found = self.identities(names)
            deaf = [item for item in found if not item.is_heard]
            if not deaf:
                return found
            if time.monotonic() > deadline:
                words = "; ".join(f"of {item.agent_id}: {item.missing}" for item in deaf)
                raise DemoError(f"not seen after {timeout_s:g} s: {words}")
            time.sleep(INTERVAL_S)

    @property
    def page(self) -> str:
        """Address of the fleet page."""
        return f"{self.intake}/fleet"

    def wait_for_page(self, *, timeout_s: float) -> None:
        """Wait until the page has a dashboard, and monitors that were evaluated.

        Raises:
            DemoError: Not in time.
        """
        deadline = time.monotonic() + timeout_s
        while not self._has_dashboard():
            if time.monotonic() > deadline:
                raise DemoError(
                    f"no dashboard at {self.page} after {timeout_s:g} s: "
                    "kubectl -n purpleflea-system describe pfo says why"
                )
            time.sleep(INTERVAL_S)

    def _has_dashboard(self) -> bool:
        monitors = self._read(f"{self.page}/data/monitors")["monitors"]
        return bool(monitors) and not self._read(f"{self.page}/data/board").get("empty")

    def _read(self, url: str, token: str = "") -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - a loopback address of ours
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
                found: dict[str, Any] = json.load(response)
                return found
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise DemoError(f"{url}: {error}") from error


def _identity(name: str, orders: dict[str, Any], heard: dict[str, Any]) -> Identity:
    return Identity(
        agent_id=name,
        orders=orders.get("orders", 0),
        pnl_usd=(heard.get("last_pnl") or {}).get("value"),
        trace_id=heard.get("last_trace_id"),
        log_line=(heard.get("last_log") or {}).get("message"),
    )
