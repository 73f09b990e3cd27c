"""The plan of a chaos run: sizes, limits of the agents, faults and events, each chosen by the seed alone."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MARKETS = ("BTC-USD", "ETH-USD", "SOL-USD")
ORDER_SIZES = {"BTC-USD": "0.01", "ETH-USD": "0.2", "SOL-USD": "4"}
GAP_MARKET = "SOL-USD"
"""The only market with price gaps, so that the limits of the others can be checked without a tolerance for them."""
RISK = {
    "maxOrderUsd": "1300",
    "maxPositionUsd": "2500",
    "maxExposureUsd": "5000",
    "maxEscrowUsd": "100",
    "maxOrdersPerMinute": 20,
    "maxDrawdownPct": 100,
}
UNKNOWN_S = 300.0
"""spec.trading.unknownOrderWindow."""

ORDERS, MARKET_DATA = {"path_prefix": "/v1/orders"}, {"path_prefix": "/v1/markets"}
POSITIONS, ESCROWS = {"path_prefix": "/v1/positions"}, {"path_prefix": "/v1/escrow"}

EXCHANGE_FAULTS: Mapping[str, dict[str, Any]] = {
    "delay": {"kind": "delay", "ms": 900},
    "long delay": {"kind": "delay", "ms": 30_000},
    "status 500": {"kind": "status", "status": 500},
    "status 503": {"kind": "status", "status": 503},
    "refusal 401": {"kind": "status", "status": 401},
    "refusal 422": {"kind": "status", "status": 422},
    "reset": {"kind": "reset"},
    "no answer after commit": {"kind": "timeout_after_commit"},
    "gateway after commit": {"kind": "gateway"},
    "gateway before commit": {"kind": "gateway", "after_commit": False},
    "redirect after commit": {"kind": "redirect"},
    "page in place of an answer": {"kind": "html"},
    "cut answer": {"kind": "cut"},
    "dripping answer": {"kind": "drip"},
    "odd row": {"kind": "odd_rows"},
    "odd name in an order": {"kind": "odd_rows", "oddity": "unknown_name", "match": ORDERS},
    "odd price": {"kind": "odd_price", "match": MARKET_DATA},
    "stale by 1 min": {"kind": "stale", "ms": 60_000},
    "stale by 4 min": {"kind": "stale", "ms": 240_000},
    "late state": {"kind": "late_state"},
    "fill in part, rest cancelled": {"kind": "partial_fill"},
    "fill in parts": {"kind": "partial_fill", "ms": 20_000},
    "late fill": {"kind": "late_fill", "ms": 45_000},
    "429 with seconds": {"kind": "rate_limit", "burst": 5},
    "429 for an order": {"kind": "rate_limit", "match": {"method": "POST", **ORDERS}},
    "429 without Retry-After": {"kind": "rate_limit", "retry_after": "none", "burst": 3},
    "429 with a date": {"kind": "rate_limit", "retry_after": "http_date", "burst": 3},
    "429 with an RFC 850 date": {"kind": "rate_limit", "retry_after": "rfc_850"},
    "429 with an asctime date": {"kind": "rate_limit", "retry_after": "asctime"},
    "429 with an unreadable Retry-After": {"kind": "rate_limit", "retry_after": "unreadable"},
    "price gap": {"kind": "price_gap", "market": GAP_MARKET, "ms": 90_000},
}
NETWORK_FAULTS = ("connection refused", "silent server", "delivered minutes later")
EVENTS = (
    "kill",
    "restart",
    "full disk",
    "slow disk",
    "clock step",
    "halt",
    "stop",
    "stop and flatten",
    "lost volume",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run. `faults` and `events` restrict the kinds, so that one of them is found soon."""

    seed: int = 1
    agents: int = 20
    first_agent: int = 0
    """Number of the first agent, if the agents of a run are in several groups with an exchange each."""
    operations: int = 2_000
    fault_share: float = 0.16
    """Share of the requests with a fault of the exchange."""
    network_share: float = 0.02
    event_every_s: float = 40.0
    weather_s: float = 60.0
    """Time until other kinds of faults are installed."""
    faults: tuple[str, ...] = tuple(EXCHANGE_FAULTS)
    network_faults: tuple[str, ...] = NETWORK_FAULTS
    events: tuple[str, ...] = EVENTS
    risk: Mapping[str, Any] = field(default_factory=lambda: RISK)
    ephemeral: int = 2
    """Number of agents without a volume that survives."""
    stop_at_first: bool = False
    settled_within_s: float = 1_200.0
    """Time after the last fault until nothing is unknown or open."""

    def random(self, *names: object) -> random.Random:
        """Return a source of choices that no other part of the run uses."""
        return random.Random("/".join(map(str, (self.seed, *names))))  # noqa: S311 - repeatable

    def weather(self, number: int) -> list[dict[str, Any]]:
        """Return the faults of the exchange in one period: a third of the kinds, or all if there are few."""
        chance = self.random("weather", number)
        count = max(min(len(self.faults), 8), len(self.faults) // 3)
        kinds = chance.sample(list(self.faults), count) if self.faults else []
        share = self.fault_share / max(1, count)
        return [
            {
                **EXCHANGE_FAULTS[kind],
                "probability": min(1.0, share * chance.uniform(0.5, 1.5)),
                "seed": chance.randrange(2**32),
            }
            for kind in kinds
        ]

    def settings(self) -> dict[str, Any]:
        """Return settings.json of every agent, without the endpoints."""
        return {
            "strategy": "momentum",
            "markets": list(MARKETS),
            "trading": {
                "interval": "15s",
                "orderSize": "0.01",
                "signalThreshold": "0.0005",
                "unknownOrderWindow": "5m",
            },
            "risk": dict(self.risk),
            "faucet": {"autoClaim": False},
        }
