"""Observes the fleet from outside: orders at the exchange, telemetry at the Datadog stand-in."""

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
class ObservedAgent:
    """Observed activity of one agent; a field is None until the value was received."""

    agent_id: str
    orders: int = 0
    pnl_usd: float | None = None
    trace_id: str | None = None
    log_line: str | None = None

    @property
    def is_reporting(self) -> bool:
        """Return whether the agent has traded and a metric, a trace and a log line from it have
        arrived.
        """
        return self.orders > 0 and None not in (self.pnl_usd, self.trace_id, self.log_line)

    @property
    def missing(self) -> str:
        """Return the missing signals as text."""
        received = {
            "an order": self.orders > 0,
            "a P&L metric": self.pnl_usd is not None,
            "a trace": self.trace_id is not None,
            "a log line": self.log_line is not None,
        }
        return ", ".join(signal for signal, has_arrived in received.items() if not has_arrived)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetObserver:
    """Client of the exchange and of the Datadog stand-in."""

    exchange: str
    exchange_token: str
    intake: str

    def agents(self, names: Sequence[str]) -> list[ObservedAgent]:
        """Return the current activity of each agent."""
        orders = {
            item["agent_id"]: item
            for item in self._read(f"{self.exchange}/admin/summary", self.exchange_token)["agents"]
        }
        telemetry = self._read(f"{self.intake}/received/summary")["agents"]
        return [
            _observed_agent(name, orders.get(name, {}), telemetry.get(name, {})) for name in names
        ]

    def wait_until_reporting(
        self, names: Sequence[str], *, timeout_s: float
    ) -> list[ObservedAgent]:
        """Wait until every agent has traded and its telemetry has arrived.

        Raises:
            DemoError: If a signal is missing after the time limit; the message lists the agents and
            the missing signals.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            agents = self.agents(names)
            silent = [item for item in agents if not item.is_reporting]
            if not silent:
                return agents
            if time.monotonic() > deadline:
                missing = "; ".join(f"{item.agent_id} is missing {item.missing}" for item in silent)
                raise DemoError(f"telemetry incomplete after {timeout_s:g} s: {missing}")
            time.sleep(INTERVAL_S)

    @property
    def page(self) -> str:
        """Return the address of the fleet page."""
        return f"{self.intake}/fleet"

    def wait_for_page(self, *, timeout_s: float) -> None:
        """Wait until the page has a dashboard and evaluated monitors.

        Raises:
            DemoError: If the dashboard is missing after the time limit.
        """
        deadline = time.monotonic() + timeout_s
        while not self._has_dashboard():
            if time.monotonic() > deadline:
                raise DemoError(
                    f"no dashboard at {self.page} after {timeout_s:g} s; "
                    "run kubectl -n purpleflea-system describe pfo"
                )
            time.sleep(INTERVAL_S)

    def _has_dashboard(self) -> bool:
        monitors = self._read(f"{self.page}/data/monitors")["monitors"]
        return bool(monitors) and not self._read(f"{self.page}/data/board").get("empty")

    def _read(self, url: str, token: str = "") -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - a loopback address of the sandbox
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
                body: dict[str, Any] = json.load(response)
                return body
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise DemoError(f"{url}: {error}") from error


def _observed_agent(name: str, orders: dict[str, Any], telemetry: dict[str, Any]) -> ObservedAgent:
    return ObservedAgent(
        agent_id=name,
        orders=orders.get("orders", 0),
        pnl_usd=(telemetry.get("last_pnl") or {}).get("value"),
        trace_id=telemetry.get("last_trace_id"),
        log_line=(telemetry.get("last_log") or {}).get("message"),
    )
