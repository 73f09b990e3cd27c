"""Protocol of the agents' HTTP endpoints for the reconciler. The implementation is in `http`; tests use their own."""

from typing import Protocol

from purpleflea_contract.control import Acknowledgement
from purpleflea_contract.status_report import StatusReport


class AgentUnreachableError(Exception):
    """An agent did not respond, or its response is invalid. The text gives the cause."""


class EndpointNotSupportedError(AgentUnreachableError):
    """An agent responded with 404. An agent that is not built on this agent image may lack the endpoint."""


class ReadyError(AgentUnreachableError):
    """An agent is ready, so it has no reason for not being ready."""


class AgentClient(Protocol):
    """Running agents. All calls are read-only, and every call may raise AgentUnreachableError."""

    async def control(self, address: str) -> Acknowledgement:
        """Return the acknowledgement of the trading mode by the agent at this IP address."""

    async def status(self, address: str) -> StatusReport:
        """Return dropped telemetry and mismatches of the positions of the agent at this IP address."""

    async def not_ready_reason(self, address: str) -> str | None:
        """Return why the agent at this IP address is not ready; None if it is, empty if it gives no reason."""
