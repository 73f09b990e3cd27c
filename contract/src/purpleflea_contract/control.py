"""control.json: the durable word on whether an agent may trade.

The operator writes it into the agents' ConfigMap; a pod that starts while halted starts halted. It changes without a
restart. Agents acknowledge it at GET /v1/control; who may write it is the operator's business.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from purpleflea_contract.settings import SpecModel


class Mode(StrEnum):
    """Trading mode: Active trades, Halted keeps running and sends no order, Stopped also comes to rest."""

    ACTIVE = "Active"
    HALTED = "Halted"
    STOPPED = "Stopped"


class Control(SpecModel):
    """The whole of control.json. It must name a mode: one left out, or misspelt, would start trading."""

    mode: Mode
    """Trading mode. Active sends orders; Halted sends none and keeps everything else running; Stopped sends none,
    resolves those on their way, closes positions if spec.trading.flattenOnStop says so, and waits to be ended."""
    generation: int = 0
    """metadata.generation of the resource that asked for this mode."""


ACKNOWLEDGEMENT: dict[str, Any] = {
    "mode": "Stopped",
    "generation": 7,
    "since": "2026-01-01T00:00:00Z",
    "sending": False,
    "at_rest": True,
    "flattened": True,
    "left_undone": None,
}
"""The example in documents."""


class Acknowledgement(BaseModel):
    """The answer of GET /v1/control: what the agent does about control.json. `mode` and `at_rest` are required of
    every agent; fields that are not known are ignored."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [ACKNOWLEDGEMENT]},
    )

    mode: Mode
    """Mode that the agent acts on; a Halted or Stopped one sends no order from that moment on."""
    generation: int = 0
    """Generation last read from control.json."""
    since: datetime | None = None
    """When the agent saw the mode change."""
    sending: bool = False
    """Whether an order or a payment into an escrow is on its way at this moment."""
    at_rest: bool
    """Whether the mode is reached. Halted: nothing is on its way, and the outcome of all orders and escrows that were
    sent is known. Stopped: that too and, with spec.trading.flattenOnStop, positions are closed, or the time for it is
    up. Active: never."""
    flattened: bool | None = None
    """What came of spec.trading.flattenOnStop once a Stopped agent is at rest: true where no position and no resting
    order is left, false where some may be; null where it was not asked for, or is not at rest."""
    left_undone: str | None = None
    """What a Stopped agent could not do in time, in words; it goes on trying."""
