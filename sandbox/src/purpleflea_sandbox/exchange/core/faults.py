"""Fault registry: selects the injected faults of a request.

This module only decides; api/fault_injection.py applies the faults. A selection depends only on the
seed, the agent and the number of its matching requests, so agents that run at the same time do not
change the faults of each other, and a run can be repeated.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from hashlib import blake2b
from typing import TypeVar

from purpleflea_sandbox.exchange.core.oddities import Oddity

MAX_MS = 60_000
"""Longest time that an answer takes."""
MAX_LATER_MS = 3_600_000
"""Longest age of a stale read, and longest time until a late fill or the end of a price gap."""
MAX_AGENTS = 10_000
"""Agents whose requests are counted separately."""

T = TypeVar("T")


class FaultKind(StrEnum):
    """Kinds of faults; docs/paper-exchange.md has the effect of each."""

    DELAY = "delay"
    STATUS = "status"
    RESET = "reset"
    TIMEOUT_AFTER_COMMIT = "timeout_after_commit"
    STALE = "stale"
    RATE_LIMIT = "rate_limit"
    GATEWAY = "gateway"
    REDIRECT = "redirect"
    HTML = "html"
    CUT = "cut"
    DRIP = "drip"
    ODD_ROWS = "odd_rows"
    ODD_PRICE = "odd_price"
    LATE_STATE = "late_state"
    PARTIAL_FILL = "partial_fill"
    LATE_FILL = "late_fill"
    PRICE_GAP = "price_gap"


class Body(StrEnum):
    """Body of an answer that something in front of the exchange sends."""

    HTML = "html"
    EMPTY = "empty"
    TEXT = "text"
    JSON = "json"
    PROBLEM = "problem"
    """Problem details of another system."""


class RetryAfter(StrEnum):
    """Form of the header Retry-After (RFC 9110, section 10.2.3, and the two obsolete date formats)."""

    NONE = "none"
    SECONDS = "seconds"
    HTTP_DATE = "http_date"
    RFC_850 = "rfc_850"
    ASCTIME = "asctime"
    UNREADABLE = "unreadable"


ORDERS = "/v1/orders"
READS = frozenset({FaultKind.STALE})
FILLS = frozenset({FaultKind.PARTIAL_FILL, FaultKind.LATE_FILL})
COMBINED = frozenset({FaultKind.DELAY, FaultKind.PRICE_GAP}) | FILLS
"""Kinds that leave the answer as it is, so another fault can follow them."""
STATES = frozenset({FaultKind.LATE_STATE})


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTarget:
    """The fields of a request that faults match on."""

    method: str
    path: str
    agent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultMatch:
    """Selects the requests of a fault; an omitted field matches everything."""

    method: str | None = None
    path_prefix: str | None = None
    agent_id: str | None = None

    def matches(self, target: RequestTarget) -> bool:
        return (
            self.method in (None, target.method)
            and self.agent_id in (None, target.agent_id)
            and target.path.startswith(self.path_prefix or "")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault as it was installed. A field that is None is chosen by the seed, or has the default of
    the kind.
    """

    match: FaultMatch = field(default_factory=FaultMatch)
    kind: FaultKind
    ms: int | None = None
    status: int | None = None
    probability: float = 1.0
    seed: int | None = None
    burst: int = 1
    times: int | None = None
    after_commit: bool | None = None
    body: Body | None = None
    retry_after: RetryAfter | None = None
    oddity: Oddity | None = None
    slices: int | None = None
    factor: Decimal | None = None
    market: str | None = None

    def applies_to(self, target: RequestTarget) -> bool:
        """Return whether the request matches and the kind can have an effect on it."""
        return self.match.matches(target) and _has_effect(self.kind, target)


def _has_effect(kind: FaultKind, target: RequestTarget) -> bool:
    if kind in READS:  # a stale write would have no effect
        return target.method == "GET"
    if kind in FILLS:
        return (target.method, target.path) == ("POST", ORDERS)
    if kind in STATES:
        return target.path.startswith((ORDERS, "/v1/escrow"))
    if kind is FaultKind.ODD_PRICE:
        return target.path.startswith("/v1/markets")
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedFault:
    """A fault of one request, with the source of all choices that the fault leaves open."""

    fault: Fault
    source: str

    def choice(self, name: str, options: Sequence[T]) -> T:
        """Return one of the options; the same selection always returns the same one."""
        return options[int(draw(self.source, name) * len(options))]


@dataclass(slots=True, kw_only=True)
class InstalledFault:
    """A fault and the number of requests it has affected."""

    fault: Fault
    source: str
    hits: int = 0
    _seen: Counter[str] = field(default_factory=Counter)
    _burst: Counter[str] = field(default_factory=Counter)

    @property
    def is_spent(self) -> bool:
        return self.fault.times is not None and self.hits >= self.fault.times

    def struck(self, agent_id: str) -> SelectedFault | None:
        """Count one more matching request of an agent; return its fault, if there is one."""
        agent = agent_id if agent_id in self._seen or len(self._seen) < MAX_AGENTS else ""
        self._seen[agent] += 1
        source = f"{self.source}/{agent}/{self._seen[agent]}"
        if self._burst[agent]:
            self._burst[agent] -= 1
        elif draw(source, "chance") < self.fault.probability:
            self._burst[agent] = self.fault.burst - 1
        else:
            return None
        self.hits += 1
        return SelectedFault(fault=self.fault, source=source)


class FaultRegistry:
    """The active faults, in sequence."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.installed: tuple[InstalledFault, ...] = ()

    def replace(self, faults: Sequence[Fault]) -> None:
        """Install other faults. A fault without a seed uses the seed of the exchange and its position."""
        self.installed = tuple(
            InstalledFault(
                fault=fault,
                source=f"{self._seed}/{number}" if fault.seed is None else str(fault.seed),
            )
            for number, fault in enumerate(faults)
        )

    def select(self, target: RequestTarget) -> tuple[SelectedFault, ...]:
        """Return the faults of this request.

        Kinds that leave the answer as it is accumulate; the first fault of another kind ends the
        selection.
        """
        selected: list[SelectedFault] = []
        for item in self.installed:
            if item.is_spent or not item.fault.applies_to(target):
                continue
            struck = item.struck(target.agent_id)
            if struck is None:
                continue
            selected.append(struck)
            if item.fault.kind not in COMBINED:
                break
        return tuple(selected)


def draw(source: str, name: str) -> float:
    """Return a number from 0 to less than 1 that depends only on the arguments."""
    digest = blake2b(f"{source}/{name}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / 2**56
