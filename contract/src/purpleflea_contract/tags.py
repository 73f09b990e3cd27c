"""Metric and span tags: their names, and the bounds on the number of their values.

A tag multiplies custom metrics (one time series per combination of values), so each tag is either a closed set of
values or has a bound with its reason. metrics defines which metric has which tag.
"""

import re
from dataclasses import dataclass

OTHER = "other"
"""Value for everything that is not in a closed set."""
MOST_BYTES = 200
"""Longest tag that Datadog stores, in bytes."""
_STORED = re.compile("[a-z:](_?[a-z0-9:./-])*")


def stored_tag(tag: str) -> str:
    """Return a tag as Datadog stores it: in lower case, with an underscore for each run of other characters.

    Letters, digits, colons, dots, slashes and dashes remain. Characters before the first letter or colon and an
    underscore at the end are removed. Source: `NormalizeTag` in datadog/internal/utils/tags.go of Datadog's Terraform
    provider.
    """
    if len(tag) <= MOST_BYTES and _STORED.fullmatch(tag):
        return tag
    stored, size = "", 0
    for character in tag:
        if size >= MOST_BYTES:
            break
        kept = _stored_character(character, stored)
        stored += kept
        size += len(kept.encode())
    return stored.removesuffix("_")


def _stored_character(character: str, stored: str) -> str:
    if character == ":" or character.isalpha():
        # The lower case of a letter can have several characters. Datadog keeps one.
        return character.lower()[0]
    if not stored:
        return ""
    if character in "./-" or character.isdecimal():
        return character
    return "" if stored.endswith("_") else "_"


def stored_value(key: str, value: str) -> str:
    """Return the value of a tag as Datadog stores it."""
    return stored_tag(f"{key}:{value}").removeprefix(f"{key}:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """One tag key.

    `values` is the closed set of allowed values. If it is empty, the set is open: `bound` is the largest number of
    values of one agent, and `limited_by` is the reason for it.
    """

    name: str
    description: str
    values: tuple[str, ...] = ()
    bound: int = 0
    limited_by: str = ""

    @property
    def most_values(self) -> int:
        """Largest number of values of one agent."""
        return len(self.values) or self.bound

    def bounded(self, value: str) -> str:
        """Return the value in lower case, as Datadog stores it, or `other` if it is not allowed."""
        lowered = value.lower()
        if not self.values or lowered in self.values:
            return lowered
        return OTHER


AGENT_ID = Tag(
    name="agent_id",
    description="Identity of the agent: the name of its pod, which a restart does not change.",
    bound=1,
    limited_by="one agent has one identity",
)
STRATEGY = Tag(
    name="strategy",
    description="Trading strategy of the agent.",
    bound=1,
    limited_by="one agent runs one strategy",
)
MARKET = Tag(
    name="market",
    description="Market symbol, such as btc-usd.",
    bound=32,
    limited_by="spec.markets has at most 32 items",
)
REALIZED = Tag(
    name="realized",
    description="Whether the profit is realized (true) or unrealized (false).",
    values=("true", "false"),
)
ORDER_TYPE = Tag(
    name="order_type", description="Type of the order.", values=("market", "limit", OTHER)
)
STATUS = Tag(
    name="status",
    description="Outcome of the operation.",
    values=(
        "success",
        "error",
        "created",
        "released",
        "cancelled",
        "completed",
        "failed",
        "claimed",
        "refused",
        OTHER,
    ),
)
ERROR_TYPE = Tag(
    name="error_type",
    description="Class of the failure; the full text is in the span and the log. The classes from api_key on concern"
    " trading intervals only.",
    values=(
        "timeout",
        "connection",
        "rejected",
        "rate_limited",
        "upstream",
        "api_key",
        "journal",
        "strategy",
        "market_data",
        OTHER,
    ),
)
MODEL_VERSION = Tag(
    name="model_version",
    description="Version of the signal model.",
    bound=4,
    limited_by="spec.trading.modelVersion is one value, and the code of a strategy may send three more",
)
DEFAULT_CURRENCY = "usdc"
"""Currency of the wallet that pays for trades."""
CURRENCY = Tag(
    name="currency",
    description="Currency of the balance, such as usdc.",
    bound=16,
    limited_by="currencies in the wallet",
)
WALLET_TYPE = Tag(
    name="wallet_type", description="Kind of wallet.", values=("trading", "escrow", OTHER)
)
ENDPOINT = Tag(
    name="endpoint",
    # Colons, because a DogStatsD client replaces braces by underscores.
    description="Route template of the Purple Flea API call, without ids.",
    values=(
        "/v1/orders",
        "/v1/orders/:id",
        "/v1/positions",
        "/v1/balance",
        "/v1/markets/:market/candles",
        "/v1/escrow",
        "/v1/escrow/:id",
        "/v1/escrow/:id/release",
        "/v1/escrow/:id/cancel",
        "/faucet/claim",
        OTHER,
    ),
)
METHOD = Tag(
    name="method",
    description="HTTP method.",
    values=("get", "post", "put", "patch", "delete", OTHER),
)
STATUS_CODE = Tag(
    name="status_code",
    description="HTTP status code, or 0 if there was no answer.",
    values=(
        "0",
        "200",
        "201",
        "400",
        "401",
        "402",
        "403",
        "404",
        "409",
        "422",
        "429",
        "500",
        "502",
        "503",
        "504",
        OTHER,
    ),
)
SUCCESS = Tag(
    name="success", description="Whether the status code is 2xx.", values=("true", "false")
)
COUNTERPARTY = Tag(
    name="counterparty",
    description="Class of the escrow counterparty; the full id is in the span and the log.",
    values=("agent", "external", OTHER),
)
REASON = Tag(
    name="reason",
    description="Reason for a refused order: a limit as named in spec.risk, an unsettled order, unusable data of the"
    " exchange, a position that differs from our own fills, a market that is not in spec.markets, or the mode.",
    values=(
        "max_drawdown",
        "min_balance",
        "max_order",
        "max_open_positions",
        "max_orders_per_minute",
        "max_position",
        "max_exposure",
        "max_escrow",
        "counterparty",
        "position_mismatch",
        "unknown_market",
        "order_pending",
        "market_data",
        "account_data",
        "halted",
        "stopped",
        OTHER,
    ),
)

SIGNAL = Tag(
    name="signal",
    description="Kind of telemetry.",
    values=("metrics", "traces", "logs"),
)

EVERY_METRIC = (AGENT_ID, STRATEGY)
"""Tags of every metric of an agent, in addition to env, service and version."""
UNIFIED = ("env", "service", "version")
"""Unified service tags, which the Datadog libraries and the node agent add to all telemetry of an agent."""
