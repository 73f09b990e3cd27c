"""HTTP paths of an agent, for the kubelet, the operator, Datadog and people.

The operator relies on paths that are `required`, so every agent must serve them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One path."""

    method: str
    path: str
    who: str
    meaning: str
    required: bool = False


HEALTH = Route(
    method="GET",
    path="/healthz",
    who="kubelet: startup and liveness",
    meaning="200 while the process works; any other status restarts it.",
    required=True,
)
READY = Route(
    method="GET",
    path="/readyz",
    who="kubelet: readiness",
    meaning="200 if it can trade, or its mode is Halted or Stopped; else 503 with the reason.",
    required=True,
)
CONTROL = Route(
    method="GET",
    path="/v1/control",
    who="operator",
    meaning="Acknowledgement of control.json: the mode that the agent acts on, and whether it is drained.",
    required=True,
)
STATUS = Route(
    method="GET",
    path="/v1/status",
    who="people, operator (dropped telemetry), the Datadog check",
    meaning="Mode and dropped telemetry; positions, profit, balance, orders and escrows for requests that may get them "
    "(spec.api.statusAccess).",
)
METRICS = Route(
    method="GET",
    path="/metrics",
    who="Prometheus, Datadog's openmetrics check",
    meaning="Every metric of the contract, as OpenMetrics or Prometheus text.",
)
OPENAPI = Route(
    method="GET", path="/openapi.json", who="people", meaning="The OpenAPI document of all paths."
)
TRADE = Route(method="POST", path="/v1/trade", who="token", meaning="Sends an order.")
ORDERS = Route(
    method="GET",
    path="/v1/orders",
    who="token",
    meaning="Lists the open orders, and the newest other orders.",
)
ORDER = Route(method="GET", path="/v1/orders/{order_id}", who="token", meaning="Returns an order.")
ORDER_CANCEL = Route(
    method="DELETE",
    path="/v1/orders/{order_id}",
    who="token",
    meaning="Cancels a resting order, in any mode.",
)
ESCROW_CREATE = Route(
    method="POST", path="/v1/escrow/create", who="token", meaning="Opens an escrow."
)
ESCROW_RELEASE = Route(
    method="POST",
    path="/v1/escrow/{escrow_id}/release",
    who="token",
    meaning="Pays an escrow out.",
)
ESCROW_CANCEL = Route(
    method="POST",
    path="/v1/escrow/{escrow_id}/cancel",
    who="token",
    meaning="Cancels an escrow.",
)

ROUTES = (
    HEALTH,
    READY,
    CONTROL,
    STATUS,
    METRICS,
    OPENAPI,
    TRADE,
    ORDERS,
    ORDER,
    ORDER_CANCEL,
    ESCROW_CREATE,
    ESCROW_RELEASE,
    ESCROW_CANCEL,
)
