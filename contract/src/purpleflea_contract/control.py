"""control.json: the durable trading mode of an agent.

The operator writes it into the ConfigMap of the agents, so a pod that starts while the mode is Halted does not trade.
It changes without a restart, and agents acknowledge it at GET /v1/control.
"""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from purpleflea_contract.control_file import Mode, strongest
from purpleflea_contract.settings import SpecModel

__all__ = ["ACKNOWLEDGEMENT", "Acknowledgement", "Control", "Mode", "strongest"]


class Control(SpecModel):
    """The content of control.json. The mode is required, because a missing or misspelled mode would start trading."""

    mode: Mode
    """Trading mode. Active sends orders. Halted sends none and keeps everything else running. Stopped sends none,
    settles those in flight, closes positions if spec.trading.flattenOnStop is true, and waits for its termination."""
    generation: int = 0
    """metadata.generation of the resource that requests this mode."""
    flatten: bool = False
    """In mode Stopped: true closes positions even if spec.trading.flattenOnStop is false. The file contains it only if
    it is true."""


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
    """The answer of GET /v1/control: the acknowledgement of control.json. `mode` and `at_rest` are required of
    every agent; unknown fields are ignored."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [ACKNOWLEDGEMENT]},
    )

    mode: Mode
    """Mode that the agent acts on; from this moment a Halted or Stopped agent sends no order."""
    generation: int = 0
    """Generation last read from control.json."""
    since: datetime | None = None
    """Time at which the agent read the change of the mode."""
    sending: bool = False
    """True while an order or a payment into an escrow is being sent."""
    at_rest: bool
    """True if the agent is drained. Halted: nothing is being sent, no order is open except those that
    spec.trading.restingOrders keeps, and the outcome of all orders and escrows that were sent is known. Stopped: in
    addition, with spec.trading.flattenOnStop, positions are closed, or the deadline for it has passed. Active:
    never."""
    flattened: bool | None = None
    """Result of spec.trading.flattenOnStop, or of flatten in control.json, once a Stopped agent is drained: true if no
    position and no resting order is left, false if some may be left; null if it was not requested, or the agent is not
    drained."""
    left_undone: str | None = None
    """Description of the work that a Stopped agent did not finish before the deadline, or of the orders and escrows
    that are open at a Halted agent; it keeps trying. It also names resting orders that spec.trading.restingOrders
    keeps."""
