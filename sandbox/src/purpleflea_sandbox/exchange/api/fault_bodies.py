"""The fault API: bodies of PUT and GET /faults, and their conversion.

A field that has no effect on the kind of a fault is rejected, because a test with such a field would
not test what its author expects.
"""

from decimal import Decimal
from typing import Annotated

from pydantic import Field, model_validator

from purpleflea_sandbox.exchange.api.models import RequestBody
from purpleflea_sandbox.exchange.core.faults import (
    MAX_LATER_MS,
    MAX_MS,
    Body,
    Fault,
    FaultKind,
    FaultMatch,
    InstalledFault,
    RetryAfter,
)
from purpleflea_sandbox.exchange.core.markets import MARKETS
from purpleflea_sandbox.exchange.core.oddities import ODD_PRICES, Oddity

LATER = frozenset(
    {FaultKind.STALE, FaultKind.PARTIAL_FILL, FaultKind.LATE_FILL, FaultKind.PRICE_GAP}
)
"""Kinds whose `ms` is not the duration of an answer."""
FIELDS: dict[FaultKind, frozenset[str]] = {
    FaultKind.DELAY: frozenset({"ms"}),
    FaultKind.STATUS: frozenset({"status"}),
    FaultKind.RESET: frozenset(),
    FaultKind.TIMEOUT_AFTER_COMMIT: frozenset({"ms"}),
    FaultKind.STALE: frozenset({"ms"}),
    FaultKind.RATE_LIMIT: frozenset({"retry_after"}),
    FaultKind.GATEWAY: frozenset({"status", "body", "after_commit"}),
    FaultKind.REDIRECT: frozenset({"status", "body", "after_commit"}),
    FaultKind.HTML: frozenset({"status", "after_commit"}),
    FaultKind.CUT: frozenset(),
    FaultKind.DRIP: frozenset({"ms"}),
    FaultKind.ODD_ROWS: frozenset({"oddity"}),
    FaultKind.ODD_PRICE: frozenset({"oddity"}),
    FaultKind.LATE_STATE: frozenset(),
    FaultKind.PARTIAL_FILL: frozenset({"ms", "slices"}),
    FaultKind.LATE_FILL: frozenset({"ms"}),
    FaultKind.PRICE_GAP: frozenset({"ms", "factor", "market"}),
}
"""Fields that have an effect, beside those of every kind."""
STATUSES: dict[FaultKind, tuple[int, int]] = {
    FaultKind.STATUS: (400, 599),
    FaultKind.GATEWAY: (300, 599),
    FaultKind.REDIRECT: (300, 399),
    FaultKind.HTML: (200, 599),
}


class MatchBody(RequestBody):
    """An omitted field matches everything.

    Faults never apply to health, admin and OpenAPI paths.
    """

    method: Annotated[str, Field(pattern="^(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)$")] | None = (
        None
    )
    path_prefix: Annotated[str, Field(pattern="^/", max_length=200)] | None = None
    agent_id: Annotated[str, Field(max_length=128)] | None = None


class FaultBody(RequestBody):
    """One fault; docs/paper-exchange.md explains the kinds."""

    match: MatchBody = MatchBody()
    kind: FaultKind
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: Annotated[int, Field(ge=0, lt=2**53)] | None = Field(
        default=None,
        description="Source of all choices of the fault; EXCHANGE_SEED and the position if omitted.",
    )
    burst: Annotated[int, Field(ge=1, le=1_000)] = Field(
        default=1, description="Number of consecutive matching requests of an agent per hit."
    )
    times: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Number of requests that the fault affects; unlimited if omitted."
    )
    ms: Annotated[int, Field(ge=0, le=MAX_LATER_MS)] | None = Field(
        default=None,
        description="delay: duration; timeout_after_commit: time without a response before the reset; "
        "drip: time between two bytes; stale: age; late_fill: time until the fill; partial_fill: time "
        "between two fills, or the rest is cancelled if omitted; price_gap: duration.",
    )
    status: Annotated[int, Field(ge=200, le=599)] | None = Field(
        default=None,
        description="HTTP status. If omitted, status: 503; html: 200; gateway and redirect: by the seed.",
    )
    after_commit: bool | None = Field(
        default=None,
        description="gateway, redirect, html: the request is processed before the answer; true if omitted.",
    )
    body: Body | None = Field(
        default=None, description="gateway, redirect: by the seed if omitted."
    )
    retry_after: RetryAfter | None = Field(
        default=None, description="rate_limit: form of the header; seconds if omitted."
    )
    oddity: Oddity | None = Field(
        default=None, description="odd_rows, odd_price: by the seed if omitted."
    )
    slices: Annotated[int, Field(ge=2, le=100)] | None = Field(
        default=None, description="partial_fill: number of equal fills; by the seed if omitted."
    )
    factor: Annotated[Decimal, Field(gt=0, le=1_000, max_digits=12)] | None = Field(
        default=None, description="price_gap: factor on the price; by the seed if omitted."
    )
    market: Annotated[str, Field(max_length=32)] | None = Field(
        default=None, description="price_gap: by the seed if omitted."
    )

    @model_validator(mode="after")
    def _fields_have_an_effect(self) -> "FaultBody":
        for name in sorted(self.model_fields_set & ALL_FIELDS):
            if getattr(self, name) is not None and name not in FIELDS[self.kind]:
                raise ValueError(f"{name} has no effect on {self.kind}")
        return self

    @model_validator(mode="after")
    def _values_fit_the_kind(self) -> "FaultBody":
        if self.kind is FaultKind.DELAY and self.ms is None:
            raise ValueError("a delay needs ms")
        if self.ms is not None and self.ms > MAX_MS and self.kind not in LATER:
            raise ValueError(f"ms is at most {MAX_MS} for {self.kind}")
        least, most = STATUSES.get(self.kind, (0, 0))
        if self.status is not None and not least <= self.status <= most:
            raise ValueError(f"status is {least} to {most} for {self.kind}")
        options = ODD_PRICES if self.kind is FaultKind.ODD_PRICE else tuple(Oddity)
        if self.oddity is not None and self.oddity not in options:
            raise ValueError(f"oddity of a price: {', '.join(options)}")
        if self.market is not None and self.market not in MARKETS:
            raise ValueError(f"unknown market; available markets: {', '.join(MARKETS)}")
        return self


ALL_FIELDS = frozenset().union(*FIELDS.values())


class FaultView(FaultBody):
    hits: int = Field(description="Number of requests that the fault has affected.")


def fault(body: FaultBody) -> Fault:
    values = {name: getattr(body, name) for name in type(body).model_fields if name != "match"}
    return Fault(match=FaultMatch(**body.match.model_dump()), **values)


def fault_view(item: InstalledFault) -> FaultView:
    installed = item.fault
    match = MatchBody(
        method=installed.match.method,
        path_prefix=installed.match.path_prefix,
        agent_id=installed.match.agent_id,
    )
    values = {name: getattr(installed, name) for name in FaultBody.model_fields if name != "match"}
    return FaultView(match=match, hits=item.hits, **values)
