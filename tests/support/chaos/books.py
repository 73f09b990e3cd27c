"""The books of the exchange, which no agent can see, and the invariants that each request is checked against."""

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from purpleflea_sandbox.exchange.app_state import AppState
from purpleflea_sandbox.exchange.core.markets import MARKETS as VENUE_MARKETS
from purpleflea_sandbox.exchange.core.orders import Order, OrderStatus
from purpleflea_sandbox.exchange.storage import accounts, escrows, orders
from support.chaos.plan import MARKETS, UNKNOWN_S, Plan
from support.chaos.process import ChaosAgent

OWNER = "fleet"
PRICE_MEMORY_S = 420.0
"""Age of the oldest price that an agent may use: maxCandleAge, and the time of a request and its interval."""
TOLERANCE = Decimal("1.002")
MINUTE_S = 60.0
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One invariant that did not hold."""

    invariant: str
    agent: str
    at_s: float
    detail: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.agent} at {self.at_s:.1f} s: {self.detail}"


@dataclass
class Sent:
    """The requests of one agent that left it."""

    orders: deque[float] = field(default_factory=deque)
    in_transit: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Requests that the exchange has not processed yet, by idempotency key."""
    times: dict[str, float] = field(default_factory=dict)
    acknowledged: str | None = None
    """Mode that was acknowledged last, if it forbids orders."""


class Books:
    """The state of the exchange, and what left the agents."""

    def __init__(self, plan: Plan, state: AppState) -> None:
        self._plan = plan
        self._state = state
        self._prices: dict[str, deque[tuple[float, Decimal]]] = defaultdict(deque)
        self._limits = {name: Decimal(str(value)) for name, value in plan.risk.items()}
        self.sent: dict[str, Sent] = defaultdict(Sent)
        self.checks: Counter[str] = Counter()
        self.violations: list[Violation] = []

    def observe_prices(self, now: float) -> None:
        """Record the real prices at present."""
        for market in MARKETS:
            history = self._prices[market]
            history.append((now, self._state.venue.price(VENUE_MARKETS[market])))
            while history[0][0] < now - PRICE_MEMORY_S:
                history.popleft()

    def lowest(self, market: str) -> Decimal:
        """Return the lowest price that an agent may still use."""
        return min(price for _, price in self._prices[market])

    def check(self, invariant: str, agent: str, now: float, *, holds: bool, detail: object) -> None:
        """Count a check, and record it if it does not hold."""
        self.checks[invariant] += 1
        if not holds:
            self.violations.append(
                Violation(invariant=invariant, agent=agent, at_s=now, detail=str(detail))
            )

    def on_order(self, agent: ChaosAgent, key: str, body: dict[str, Any], now: float) -> None:
        """Check an order that leaves an agent now."""
        self.observe_prices(now)  # a gap may have begun since the last tick
        sent, market = self.sent[agent.name], body["market"]
        self.check(
            "no order twice",
            agent.name,
            now,
            # Only the exchange recognizes a key of a lost journal.
            holds=sent.times.get(key, now) < agent.lost_at
            or (not self._has_order(agent, key) and key not in sent.in_transit),
            detail=f"{key} leaves again",
        )
        position = self.positions(agent).get(market, ZERO)
        size = Decimal(body["size"]) * (1 if body["side"] == "buy" else -1)
        self._check_mode(agent, sent, now, position=position, size=size)
        self._check_frozen(agent, market, key, now)
        self._check_sizes(agent, body, now)
        sent.orders.append(now)
        sent.times[key] = now
        while sent.orders[0] <= now - MINUTE_S:
            sent.orders.popleft()
        self.check(
            "maxOrdersPerMinute",
            agent.name,
            now,
            # Orders that close a position in mode Stopped are not limited.
            holds=agent.is_stopped or len(sent.orders) <= self._limits["maxOrdersPerMinute"],
            detail=f"{len(sent.orders)} orders in a minute",
        )

    def on_escrow(self, agent: ChaosAgent, key: str, body: dict[str, Any], now: float) -> None:
        """Check an escrow that leaves an agent now."""
        sent = self.sent[agent.name]
        opened = self.escrows(agent)
        self.check(
            "no escrow twice",
            agent.name,
            now,
            holds=key not in {item.request.idempotency_key for item in opened}
            and key not in sent.in_transit,
            detail=f"{key} leaves again",
        )
        self._check_mode(agent, sent, now, position=ZERO, size=ZERO)
        total = Decimal(body["amount_usd"]) + sum(
            (item.request.amount_usd for item in opened if item.status == "created"), ZERO
        )
        total += sum(
            (
                Decimal(item["amount_usd"])
                for item in sent.in_transit.values()
                if "amount_usd" in item
            ),
            ZERO,
        )
        if not agent.is_ephemeral:  # a lost journal has no record of its escrows
            self.check(
                "maxEscrowUsd",
                agent.name,
                now,
                holds=total <= self._limits["maxEscrowUsd"],
                detail=f"{total} USD in escrows",
            )

    def orders(self, agent: ChaosAgent) -> list[Order]:
        """Return all orders of an agent at the exchange."""
        account_id = self._account_id(agent)
        if account_id is None:
            return []
        database = self._state.venue.database
        return orders.newest(database, account_id, status=None, limit=1_000_000)

    def open_orders(self, agent: ChaosAgent) -> list[Order]:
        """Return the open orders of an agent at the exchange."""
        account_id = self._account_id(agent)
        if account_id is None:
            return []
        database = self._state.venue.database
        return orders.newest(database, account_id, status=OrderStatus.OPEN, limit=10_000)

    def escrows(self, agent: ChaosAgent) -> list[Any]:
        """Return all escrows of an agent at the exchange."""
        account_id = self._account_id(agent)
        every = escrows.every(self._state.venue.database)
        return [item for item in every if item.account_id == account_id]

    def positions(self, agent: ChaosAgent) -> dict[str, Decimal]:
        """Return the signed sizes of the positions of an agent at the exchange."""
        account_id = self._account_id(agent)
        if account_id is None:
            return {}
        held = accounts.positions(self._state.venue.database, account_id)
        return {market: position.size for market, position in held.items()}

    def _has_order(self, agent: ChaosAgent, key: str) -> bool:
        account_id = self._account_id(agent)
        database = self._state.venue.database
        return account_id is not None and bool(
            orders.find_by_idempotency_key(database, account_id, key)
        )

    def _account_id(self, agent: ChaosAgent) -> int | None:
        account = accounts.find(self._state.venue.database, OWNER, agent.name)
        return None if account is None else account.account_id

    def _check_mode(
        self, agent: ChaosAgent, sent: Sent, now: float, *, position: Decimal, size: Decimal
    ) -> None:
        mode = sent.acknowledged
        closes = position * size < 0 and abs(size) <= abs(position)
        self.check(
            "no order after a halt is acknowledged",
            agent.name,
            now,
            holds=mode is None or (mode == "Stopped" and closes),
            detail=f"mode {mode}, position {position}, order {size}",
        )

    def _check_frozen(self, agent: ChaosAgent, market: str, key: str, now: float) -> None:
        sent = self.sent[agent.name]
        if agent.is_ephemeral:  # a lost journal has no record of them
            return
        unknown = {
            row["idempotency_key"]
            for row in agent.rows("SELECT * FROM orders WHERE status = 'written'")
            if row["market"] == market
        } - {key}
        unknown |= {
            other
            for other, body in sent.in_transit.items()
            if body.get("market") == market and now - sent.times.get(other, now) < UNKNOWN_S
        }
        self.check(
            "no order while another of its market is unknown",
            agent.name,
            now,
            holds=not unknown - {key},
            detail=f"{market}: {key} leaves, and {sorted(unknown)} may be filled",
        )

    def _check_sizes(self, agent: ChaosAgent, body: dict[str, Any], now: float) -> None:
        market, size = body["market"], Decimal(body["size"])
        price = self.lowest(market)
        if body.get("price") is not None and body["side"] == "buy":
            price = min(price, Decimal(body["price"]))
        held = self.positions(agent).get(market, ZERO)
        closes = held and (held > 0) is (body["side"] == "sell") and size <= abs(held)
        sent = self.sent[agent.name]
        if not (closes and sent.acknowledged == "Stopped"):
            self._limit(agent, "maxOrderUsd", size * price, now)
        if closes:
            return
        directed = self._directed(agent, market, body)
        self._limit(agent, "maxPositionUsd", directed * price, now)
        others = sum(
            (self._largest(agent, m) * self.lowest(m) for m in MARKETS if m != market), ZERO
        )
        self._limit(agent, "maxExposureUsd", directed * price + others, now)

    def _limit(self, agent: ChaosAgent, name: str, value: Decimal, now: float) -> None:
        self.check(
            name,
            agent.name,
            now,
            holds=value <= self._limits[name] * TOLERANCE,
            detail=f"{value:.2f} USD",
        )

    def _directed(self, agent: ChaosAgent, market: str, body: dict[str, Any]) -> Decimal:
        sign = 1 if body["side"] == "buy" else -1
        held = self.positions(agent).get(market, ZERO) * sign
        same = [item for item in self._known_open(agent) if item.request.side == body["side"]]
        rest = sum(
            (o.request.size - o.filled_size for o in same if o.request.market.name == market), ZERO
        )
        return max(ZERO, held + rest + Decimal(body["size"]))

    def _known_open(self, agent: ChaosAgent) -> list[Order]:
        """Return the open orders without those of a lost journal, which have no record."""
        times = self.sent[agent.name].times
        return [
            order
            for order in self.open_orders(agent)
            if times.get(order.request.idempotency_key, agent.lost_at) >= agent.lost_at
        ]

    def _largest(self, agent: ChaosAgent, market: str) -> Decimal:
        held = self.positions(agent).get(market, ZERO)
        rest = {"buy": ZERO, "sell": ZERO}
        for order in self._known_open(agent):
            if order.request.market.name == market:
                rest[order.request.side] += order.request.size - order.filled_size
        return max(held + rest["buy"], rest["sell"] - held, ZERO)
