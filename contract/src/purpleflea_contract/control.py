"""control.json: the durable word on whether an agent may trade.

The operator writes it into the agents' ConfigMap; a pod that starts while halted starts halted. It changes without a
restart. Who may write it, and the acknowledgement of it, are the operator's and the agent's business.
"""

from enum import StrEnum

from purpleflea_contract.settings import SpecModel


class Mode(StrEnum):
    """Trading mode: Active trades, Halted keeps running and sends no order, Stopped also comes to rest."""

    ACTIVE = "Active"
    HALTED = "Halted"
    STOPPED = "Stopped"


class Control(SpecModel):
    """The whole of control.json."""

    mode: Mode = Mode.ACTIVE
    """Trading mode. Active sends orders; Halted sends none and keeps everything else running; Stopped sends none,
    resolves those on their way, closes positions if spec.trading.flattenOnStop says so, and waits to be ended."""
    generation: int = 0
    """metadata.generation of the resource that asked for this mode."""
