"""Log facets: the attributes of log events for search, groups and measures.

Facets can be created in the user interface of Datadog only. This is the list to create, and the attributes that log
queries may use. events defines which event has which attribute.
"""

from dataclasses import dataclass
from enum import StrEnum


class FacetType(StrEnum):
    """String facets filter and group; number facets can also be measured."""

    STRING = "string"
    NUMBER = "number"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """One facet. `path` is the name of the attribute in the JSON line, without the @ of a search."""

    path: str
    type: FacetType
    unit: str = ""
    description: str


EVENT_TYPE = Facet(
    path="event_type",
    type=FacetType.STRING,
    description="Event category, such as trade_executed or escrow_transaction.",
)
ESCROW_STATUS = Facet(
    path="escrow.status",
    type=FacetType.STRING,
    description="New state of an escrow: created, released, cancelled, completed or failed.",
)

FACETS = (
    EVENT_TYPE,
    Facet(path="market", type=FacetType.STRING, description="Market, such as BTC-USD."),
    Facet(path="side", type=FacetType.STRING, description="Direction of the order: buy or sell."),
    Facet(
        path="latency_ms",
        type=FacetType.NUMBER,
        unit="millisecond",
        description="Time from sending an order to its answer; omitted if the fill was found by a later look-up.",
    ),
    Facet(path="signal_value", type=FacetType.NUMBER, description="Strength of the signal."),
    Facet(
        path="amount_usd",
        type=FacetType.NUMBER,
        unit="dollar",
        description="Amount of the escrow transaction.",
    ),
    ESCROW_STATUS,
    Facet(
        path="balance_usd",
        type=FacetType.NUMBER,
        unit="dollar",
        description="Wallet balance at the time of the alert.",
    ),
    Facet(
        path="reason",
        type=FacetType.STRING,
        description="Limit or mode that refused an order, or source of a mode change.",
    ),
    Facet(path="error.kind", type=FacetType.STRING, description="Class of the error."),
    Facet(path="agent_id", type=FacetType.STRING, description="Identity of the agent."),
    Facet(path="strategy", type=FacetType.STRING, description="Trading strategy of the agent."),
    Facet(
        path="dd.trace_id",
        type=FacetType.STRING,
        description="Trace of the log line: 32 hexadecimal digits.",
    ),
)
