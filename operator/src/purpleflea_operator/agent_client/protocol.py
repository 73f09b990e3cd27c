"""Protocol of the agents' HTTP endpoints for the reconciler. The implementation is in `http`; tests use their own."""

from collections.abc import Mapping
from typing import Protocol

from purpleflea_contract.control import Acknowledgement


class AgentUnreachableError(Exception):
    """An agent did not respond, or its response is invalid. The text gives the cause."""


class EndpointNotSupportedError(AgentUnreachableError):
    """An agent responded with 404. An agent that is not built on this agent image may lack the endpoint."""


class AgentClient(Protocol):
    """Running agents. All calls are read-only, and every call may raise AgentUnreachableError."""

    async def control(self, address: str) -> Acknowledgement:
        """Return the acknowledgement of the trading mode by the agent at this IP address."""

    async def losses(self, address: str) -> Mapping[str, int]:
        """Return the telemetry items that the agent at this IP address dropped since its start, by signal."""
