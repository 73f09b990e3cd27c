"""Fill a stand-in's store with two hours of data of a small fleet: consistent metrics, traces and logs.

The data is deterministic: the same time gives the same data.
"""

import json
import math
import random
from collections.abc import Iterator, Sequence

from purpleflea_contract import metrics, spans
from purpleflea_sandbox.datadog.intake import messages
from purpleflea_sandbox.datadog.intake.store import Store

ENV, SERVICE = "production", "purpleflea-trading-agent"
MARKETS = ("btc-usd", "eth-usd", "sol-usd")
ENDPOINTS = ("/v1/order", "/v1/balance", "/v1/prices", "/v1/escrow")
STRATEGIES = ("momentum", "momentum", "reversion")
AGENTS = ("momentum-0", "momentum-1", "reversion-0")
_EVERY_S = 10
_SPAN_EVERY_S = 60


class FleetData:
    """Data of one fleet; `fill` writes all data from `length_s` seconds ago until now."""

    def __init__(self, store: Store, now: float, agents: Sequence[str] = AGENTS) -> None:
        self._store = store
        self._now = now
        self._agents = agents
        self._random = random.Random(7)  # noqa: S311 - test data, not a secret

    def fill(self, length_s: int = 7200) -> None:
        agents = tuple(enumerate(self._agents))
        for moment in self._moments(length_s, _EVERY_S):
            for index, agent in agents:
                self._measure(index, agent, moment)
        for moment in self._moments(min(length_s, 1800), _SPAN_EVERY_S):
            for index, agent in agents:
                self._interval(index, agent, moment + 7 * index - 20)

    def _moments(self, length_s: int, every_s: int) -> Iterator[int]:
        yield from range(int(self._now) - length_s, int(self._now) + 1, every_s)

    def _tags(self, index: int, agent: str, *more: str) -> list[str]:
        strategy = STRATEGIES[index % len(STRATEGIES)]
        base = [f"env:{ENV}", f"service:{SERVICE}", f"agent_id:{agent}", f"strategy:{strategy}"]
        return [*base, *more]

    def _measure(self, index: int, agent: str, moment: int) -> None:
        wave = math.sin(moment / 700 + index)
        for position, market in enumerate(MARKETS):
            realized = 40 * math.sin(moment / 2400 + position) + 12 * wave + 30 * (2 - position)
            tags = [f"market:{market}"]
            self._gauge(metrics.PNL.name, realized, index, agent, *tags, "realized:true", at=moment)
            self._gauge(
                metrics.PNL.name, 8 * wave, index, agent, *tags, "realized:false", at=moment
            )
            held = float(1 + (moment // 300 + index + position) % 3)
            self._gauge(metrics.OPEN_POSITIONS.name, held, index, agent, *tags, at=moment)
            latency = [
                self._random.lognormvariate(4.4 + 0.25 * wave, 0.45) for _ in range(2 + position)
            ]
            self._spread(metrics.ORDER_LATENCY.name, latency, index, agent, *tags, at=moment)
        drawdown = max(0.0, 4 + 3 * index + 2.5 * wave)
        self._gauge(metrics.DRAWDOWN.name, drawdown, index, agent, at=moment)
        balance = 900 + 400 * index + 120 * wave
        wallet = ("currency:usdc", "wallet_type:trading")
        self._gauge(metrics.WALLET_BALANCE.name, balance, index, agent, *wallet, at=moment)
        self._count(metrics.HEARTBEAT.name, 5, index, agent, at=moment)
        self._count(metrics.TELEMETRY_DROPPED.name, 0, index, agent, "signal:metric", at=moment)
        self._calls(index, agent, moment)

    def _calls(self, index: int, agent: str, moment: int) -> None:
        for position, endpoint in enumerate(ENDPOINTS):
            tags = [f"endpoint:{endpoint}"]
            self._count(
                metrics.API_REQUESTS.name, 20, index, agent, *tags, "success:true", at=moment
            )
            if self._random.random() < 0.02 * (position + 1):
                self._count(
                    metrics.API_REQUESTS.name, 2, index, agent, *tags, "success:false", at=moment
                )
        if moment % 90 < _EVERY_S:
            reason = ("max_order_usd", "max_position", "halted")[moment // 90 % 3]
            self._count(metrics.RISK_REFUSALS.name, 1, index, agent, f"reason:{reason}", at=moment)
        if moment % 120 < _EVERY_S:
            status = ("created", "completed", "failed", "completed")[(moment // 120 + index) % 4]
            self._count(
                metrics.ESCROW_TRANSACTIONS.name, 1, index, agent, f"status:{status}", at=moment
            )
            self._log(index, agent, moment, status)

    def _gauge(self, name: str, value: float, index: int, agent: str, *tags: str, at: int) -> None:
        self._point(name, "gauge", value, self._tags(index, agent, *tags), at)

    def _count(self, name: str, value: float, index: int, agent: str, *tags: str, at: int) -> None:
        self._point(name, "count", value, self._tags(index, agent, *tags), at)

    def _point(self, name: str, kind: str, value: float, tags: list[str], at: int) -> None:
        store = self._store.series
        series = store.open(name, kind, tags=tags, host="node-1", interval=10)  # type: ignore[arg-type]
        store.add(series, at, value)

    def _spread(
        self, name: str, values: Sequence[float], index: int, agent: str, *tags: str, at: int
    ) -> None:
        store = self._store.series
        series = store.open(
            name, "distribution", tags=self._tags(index, agent, *tags), host="node-1"
        )
        store.add_values(series, at, values)

    def _log(self, index: int, agent: str, moment: int, status: str, trace_id: str = "") -> None:
        failed = status == "failed"
        line = {
            "timestamp": moment * 1000,
            "level": "ERROR" if failed else "INFO",
            "message": "Escrow event" if status != "executed" else "Trade executed",
            "event_type": "escrow_transaction" if status != "executed" else "trade_executed",
            "agent_id": agent,
            "strategy": STRATEGIES[index % len(STRATEGIES)],
            "dd.trace_id": trace_id or "0",
        }
        if status != "executed":
            line |= {"escrow.status": status, "counterparty": "desk-7", "amount_usd": 25}
        entry = {
            "message": json.dumps(line),
            "service": SERVICE,
            "ddtags": f"env:{ENV},service:{SERVICE}",
        }
        self._store.logs.add(messages.log(entry, self._now))

    def _interval(self, index: int, agent: str, moment: int) -> None:
        """Add one trace of a trading loop interval and the log of its order."""
        number = (index + 1) * 1_000_000_000 + moment
        took = [self._random.uniform(0.002, 0.02), self._random.uniform(0.05, 0.3)]
        names = (spans.INTERVAL.name, spans.SIGNAL_COMPUTE.name, spans.ORDER_EXECUTE.name)
        resources = ("momentum", "momentum/BTC-USD", "market/BTC-USD/buy")
        durations = (sum(took) + 0.01, took[0], took[1])
        starts = (0.0, 0.003, 0.005 + took[0])
        failed = self._random.random() < 0.08
        chunk = [
            {
                "name": name,
                "service": SERVICE,
                "resource": resource,
                "trace_id": number,
                "span_id": number * 10 + position,
                "parent_id": number * 10 if position else 0,
                "start": int((moment + start) * 1e9),
                "duration": int(duration * 1e9),
                "error": int(failed and position == 2),
                "meta": {"env": ENV, "_dd.p.tid": "6a02f1c000000000"},
                "metrics": {"_dd.measured": 1},
            }
            for position, (name, resource, duration, start) in enumerate(
                zip(names, resources, durations, starts, strict=True)
            )
        ]
        self._store.traces.add(chunk, self._tags(index, agent))
        self._log(index, agent, moment, "executed", f"6a02f1c000000000{number:016x}")
