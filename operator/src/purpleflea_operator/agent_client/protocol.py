"""What the reconciler asks of a running agent. The adapter is in http; tests bring one of their own."""

from collections.abc import Mapping
from typing import Protocol

from purpleflea_contract.control import Acknowledgement


class AgentUnreachableError(Exception):
    """An agent did not answer, or not in words that are understood; the text says which."""


class EndpointNotSupportedError(AgentUnreachableError):
    """An agent answers, and does not offer that: one of somebody else's making may not."""


class AgentClient(Protocol):
    """The running agents. Every call may raise AgentUnreachableError; none changes anything."""

    async def control(self, address: str) -> Acknowledgement:
        """What the agent at this IP address does about its trading mode."""

    async def losses(self, address: str) -> Mapping[str, int]:
        """Telemetry that the agent at this IP address could not hand over since it started, by signal."""
